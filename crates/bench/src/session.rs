//! SQLite's session extension, as a peer to measure against: records a transaction, stores or applies its changeset.
use rusqlite::{Connection, ffi};
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;

/// A session that watches every table of one connection, which stays open for as long.
pub struct Session<'c>(*mut ffi::sqlite3_session, PhantomData<&'c Connection>);

impl<'c> Session<'c> {
    /// Begins to record.
    pub fn begin(conn: &'c Connection) -> Self {
        let mut session = null_mut();
        // SAFETY: the handle is the open connection's, the name is a C string, and both outlive the calls.
        unsafe {
            assert_eq!(ffi::sqlite3session_create(conn.handle(), c"main".as_ptr(), &mut session), ffi::SQLITE_OK);
            assert_eq!(ffi::sqlite3session_attach(session, std::ptr::null()), ffi::SQLITE_OK);
        }
        Session(session, PhantomData)
    }

    /// Takes the changeset.
    pub fn changeset(&self) -> Vec<u8> {
        self.take(ffi::sqlite3session_changeset)
    }

    /// Takes what `write` writes: `sqlite3session_changeset`, or `sqlite3session_patchset`.
    pub fn take(&self, write: unsafe extern "C" fn(*mut ffi::sqlite3_session, *mut c_int, *mut *mut c_void) -> c_int) -> Vec<u8> {
        let mut size: c_int = 0;
        let mut written: *mut c_void = null_mut();
        // SAFETY: the session is alive until `self` is dropped; what it writes is SQLite's until it is freed below.
        unsafe {
            assert_eq!(write(self.0, &mut size, &mut written), ffi::SQLITE_OK);
            let bytes = match size {
                0 => Vec::new(),
                size => std::slice::from_raw_parts(written.cast::<u8>(), size as usize).to_vec(),
            };
            ffi::sqlite3_free(written);
            bytes
        }
    }

    /// Takes the changeset and stores it in the table `kept`, as something that survives the process must.
    pub fn store(self, conn: &Connection) {
        conn.execute("INSERT INTO kept VALUES (?1)", [self.changeset()]).expect("the table is there");
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: the session was created by `begin` and is deleted once, before its connection closes.
        unsafe { ffi::sqlite3session_delete(self.0) }
    }
}

/// Bytes of the changeset that leads from a table as it is in another file to the table as it is here.
pub fn compare(conn: &Connection, before: &std::path::Path, table: &str) -> usize {
    conn.execute("ATTACH ?1 AS before", [before.to_string_lossy()]).expect("the file is there");
    let session = Session::begin(conn);
    let name = std::ffi::CString::new(table).expect("a plain name");
    // SAFETY: the session is alive, and both names are C strings that outlive the call; no error text is asked for.
    let code = unsafe { ffi::sqlite3session_diff(session.0, c"before".as_ptr(), name.as_ptr(), null_mut()) };
    assert_eq!(code, ffi::SQLITE_OK);
    let changeset = session.changeset();
    conn.execute_batch("DETACH before").expect("it was attached");
    changeset.len()
}

extern "C" fn refuse(_: *mut c_void, _: c_int, _: *mut ffi::sqlite3_changeset_iter) -> c_int {
    ffi::SQLITE_CHANGESET_ABORT
}

/// Applies a changeset; any conflict is a failure.
pub fn apply(conn: &Connection, changeset: &mut [u8]) {
    assert_eq!(try_apply(conn, changeset), ffi::SQLITE_OK);
}

/// Applies a changeset, or says which error it ended with; any conflict is one.
pub fn try_apply(conn: &Connection, changeset: &mut [u8]) -> c_int {
    // SAFETY: the handle is the open connection's, the bytes outlive the call, and the callback uses nothing.
    unsafe {
        ffi::sqlite3changeset_apply(conn.handle(), changeset.len() as c_int, changeset.as_mut_ptr().cast(), None, Some(refuse), null_mut())
    }
}
