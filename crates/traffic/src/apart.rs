//! A server in a process of its own, so that its memory and its limits are its own.
use crate::{ADMINISTRATOR, Served};
use mainstem::core::authority::Role;
use mainstem::wiring::RealSurroundings;
use mainstem_http::server::{Door, Limits, Porter, Record};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// What a program is started with to be such a server: behind it a folder, how many members there are, and where it listens.
const SERVE: &str = "--serve";

/// The running server; dropped, it is gone.
pub struct Apart {
    child: Child,
    /// Where it listens.
    pub socket: SocketAddr,
    /// The administrator's token, then one for each member.
    pub tokens: Vec<String>,
}

impl Apart {
    /// Starts this very program again as a server over a folder. With members, each has a token, and a token's limits hold;
    /// with none, the administrator's token is many people's and has none.
    pub fn begin(folder: &Path, members: usize) -> Apart {
        Apart::begin_at(folder, members, SocketAddr::from(([127, 0, 0, 1], 0)))
    }
    /// The same at an address that was listened to before.
    pub fn begin_at(folder: &Path, members: usize, socket: SocketAddr) -> Apart {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.arg(SERVE).arg(folder).arg(members.to_string()).arg(socket.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts again");
        let mut said =
            BufReader::new(child.stdout.take().expect("it is piped")).lines().map(|line| line.expect("it says where it listens"));
        let socket = said.next().and_then(|line| line.parse().ok()).expect("an address");
        let tokens = said.by_ref().take(members + 1).collect();
        Apart { child, socket, tokens }
    }
    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this program was started with, where it is to be such a server.
pub fn asked() -> Option<(PathBuf, usize, SocketAddr)> {
    let mut arguments = std::env::args_os().skip(1);
    let is_asked = arguments.next().is_some_and(|first| first == SERVE);
    let folder = arguments.next().filter(|_| is_asked)?;
    let members = arguments.next()?.to_str()?.parse().ok()?;
    Some((folder.into(), members, arguments.next()?.to_str()?.parse().ok()?))
}

/// Is such a server, for ever.
pub fn serve(folder: &Path, members: usize, socket: SocketAddr) -> ! {
    let around = Arc::new(RealSurroundings);
    let mut limits = Limits::default();
    // One address is many people here, and so is one actor where there are no members.
    let is_lifted = |name: &str| name.contains("address") || (members == 0 && (name.contains("token") || name.contains("actor")));
    for limit in Limits::NAMES.iter().filter(|name| is_lifted(name)) {
        *limits.named(limit).expect("it is one of them") = u64::from(u32::MAX);
    }
    let porter = Porter::new(limits, Door::default(), Record::nowhere(around.clone()), around.clone());
    let served = Served::at(socket, porter, None, folder, around);
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{}\n{}", served.socket(), served.token().unwrap_or_default());
    for member in 0..members {
        let token = served.token_of(&format!("{ADMINISTRATOR} {member}"), "load", Role::Contributor);
        let _ = writeln!(out, "{}", token.reveal());
    }
    loop {
        std::thread::park();
    }
}
