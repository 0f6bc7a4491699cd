// 100,000 documents with the cells of the measured table: from a PouchDB on LevelDB over HTTP to a server, and from there to
// another. Prints CPU and wall seconds of both ways together; all three are this process.
const express = require('express');
const PouchDB = require('pouchdb');

const ROWS = Number(process.argv[3] || 100000);
const folder = process.argv[2];
const Local = PouchDB.defaults({ prefix: `${folder}/` });

function document(i) {
  return { _id: `key-${String(i).padStart(8, '0')}`, a: `name ${i}`, b: i, c: i * 0.5, d: `some text ${i}`, e: i % 10 };
}

async function main() {
  const app = express();
  const Served = PouchDB.defaults({ prefix: `${folder}/served-` });
  app.use('/', require('express-pouchdb')(Served, { configPath: `${folder}/config.json`, logPath: `${folder}/log.txt`, mode: 'minimumForPouchDB' }));
  const server = app.listen(0);
  const address = `http://127.0.0.1:${server.address().port}/rows`;
  const [from, to] = [new Local('from'), new Local('to')];
  for (let at = 0; at < ROWS; at += 1000) {
    await from.bulkDocs(Array.from({ length: Math.min(1000, ROWS - at) }, (_, n) => document(at + n)));
  }
  const [cpu, begun] = [process.cpuUsage(), process.hrtime.bigint()];
  const options = { batch_size: 1000, batches_limit: 4 };
  await PouchDB.replicate(from, address, options);
  await PouchDB.replicate(address, to, options);
  const spent = process.cpuUsage(cpu);
  const wall = Number(process.hrtime.bigint() - begun) / 1e9;
  const { doc_count } = await to.info();
  if (doc_count !== ROWS) throw new Error(`${doc_count} documents arrived`);
  console.log(`${(spent.user + spent.system) / 1e6}\t${wall}`);
  server.close();
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
