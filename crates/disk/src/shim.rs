//! The file system that SQLite calls: the system's own, with the files of observed folders looked at on their way.
//!
//! Invariant: a file that is not observed is opened by the system's file system alone and never comes through here again.
//! Invariant: of an observed file, `Shim` lies at the start of the memory that SQLite gave and the system's file after it.
use crate::disk::{Asked, Inner, Kind};
use crate::operation::Act;
use rusqlite::ffi;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

/// An observed file.
#[repr(C)]
struct Shim {
    /// What SQLite calls; first, because SQLite sees this as its own file.
    base: ffi::sqlite3_file,
    /// The folder and the path below it.
    observed: *mut Observed,
}

struct Observed {
    inner: Arc<Inner>,
    path: String,
    /// True for a journal that this connection made: the system syncs its folder with it.
    owes_folder: bool,
}

/// Room for [`Shim`], at which the system's file begins. A multiple of every alignment that a C structure can have.
const REAL_AT: usize = size_of::<Shim>().next_multiple_of(16);

/// The system's file system, and the observed folders.
struct Registry {
    system: *mut ffi::sqlite3_vfs,
    folders: RwLock<Vec<Weak<Inner>>>,
}

// SAFETY: SQLite keeps a registered file system for as long as the process lives, and lets every thread use it.
unsafe impl Send for Registry {}
// SAFETY: as above; the list of folders has a lock of its own.
unsafe impl Sync for Registry {}

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// Small pieces of memory that each connection keeps for itself, so that preparing a statement asks the system for none.
const LOOKASIDE_BYTES: c_int = 1_200;
const LOOKASIDE_SLOTS: c_int = 400;

/// Makes the observing file system this process's default, once.
///
/// # Panics
/// Where SQLite has no file system, or refuses another one.
pub fn install() {
    REGISTRY.get_or_init(|| {
        // What runs on this disk opens thousands of connections on several threads, and counting each allocation takes a
        // lock of the whole process. Where SQLite has been used before, it refuses, and goes on counting.
        // SAFETY: the option takes one integer, and SQLite itself checks that it has not begun.
        unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int) };
        // SAFETY: the option takes two integers, likewise.
        unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_LOOKASIDE, LOOKASIDE_BYTES, LOOKASIDE_SLOTS) };
        // SAFETY: SQLite gives its default file system, which lives as long as the process.
        let system = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!system.is_null(), "SQLite has a default file system");
        // SAFETY: it was just found not to be null, and nobody writes to it.
        let mut ours = unsafe { std::ptr::read(system) };
        ours.szOsFile += REAL_AT as c_int;
        ours.pNext = std::ptr::null_mut();
        ours.zName = c"mainstem-disk".as_ptr();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // SAFETY: the structure is leaked, so it lives as long as the process, as SQLite demands.
        let result = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
        assert_eq!(result, ffi::SQLITE_OK, "SQLite takes another file system");
        Registry { system, folders: RwLock::default() }
    });
}

fn registry() -> &'static Registry {
    // Another thread may open a file while the first one still installs this.
    REGISTRY.wait()
}

/// Observes a folder from now on.
pub(crate) fn observe(inner: &Arc<Inner>) {
    registry().folders.write().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(inner));
}

/// Observes a folder no more.
pub(crate) fn forget(inner: &Arc<Inner>) {
    let mut folders = registry().folders.write().unwrap_or_else(PoisonError::into_inner);
    folders.retain(|folder| folder.strong_count() > 0 && !std::ptr::eq(folder.as_ptr(), Arc::as_ptr(inner)));
}

/// The innermost observed folder that a file is below, and its path there.
fn observer(name: *const c_char) -> Option<(Arc<Inner>, String)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: a name that SQLite gives is a C string that lives through the call.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
    let folders = registry().folders.read().unwrap_or_else(PoisonError::into_inner);
    let near = folders.iter().filter_map(Weak::upgrade).filter(|inner| path.starts_with(&inner.folder));
    let inner = near.max_by_key(|inner| inner.folder.as_os_str().len())?;
    let below = inner.below(path)?.to_string();
    Some((inner, below))
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let system = registry().system;
    // SAFETY: the system's file system has this function, and takes what SQLite meant for it.
    let open_at =
        |at: *mut ffi::sqlite3_file| unsafe { (*system).xOpen.map_or(ffi::SQLITE_MISUSE, |open| open(system, name, at, flags, out)) };
    let Some((inner, path)) = observer(name).filter(|_| flags & ffi::SQLITE_OPEN_DELETEONCLOSE == 0) else {
        return open_at(file);
    };
    let shim = file.cast::<Shim>();
    // SAFETY: SQLite gives `szOsFile` bytes, which is room for both files.
    let real = unsafe {
        (*shim).base.pMethods = std::ptr::null();
        file.byte_add(REAL_AT)
    };
    inner.look_around();
    let is_made = flags & ffi::SQLITE_OPEN_CREATE != 0 && !inner.folder.join(&path).exists();
    let result = if is_made {
        let run = &mut |_| open_at(real);
        inner.perform(Asked { path: &path, kind: Kind::Create, whole: &Vec::new, act: &|_| Act::Create, run, syncs_folder: false })
    } else {
        open_at(real)
    };
    if result != ffi::SQLITE_OK {
        return result;
    }
    let journals = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let observed = Box::new(Observed { inner, path, owes_folder: is_made && flags & journals != 0 });
    // SAFETY: the memory is SQLite's for this file, which is ours until it is closed.
    unsafe {
        (*shim).observed = Box::into_raw(observed);
        (*shim).base.pMethods = &METHODS;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, syncs_folder: c_int) -> c_int {
    let system = registry().system;
    // SAFETY: the system's file system has this function, and takes what SQLite meant for it.
    let mut run = |_: bool| unsafe { (*system).xDelete.map_or(ffi::SQLITE_MISUSE, |delete| delete(system, name, syncs_folder)) };
    let Some((inner, path)) = observer(name) else { return run(false) };
    let here = inner.folder.join(&path);
    // SQLite deletes journals alone, on which nobody has a lock.
    let whole = || std::fs::read(&here).unwrap_or_default();
    inner.perform(Asked {
        path: &path,
        kind: Kind::Delete,
        whole: &whole,
        act: &|_| Act::Delete,
        run: &mut run,
        syncs_folder: syncs_folder != 0,
    })
}

/// The system's file behind an observed one, and what it can do.
fn real(file: *mut ffi::sqlite3_file) -> (*mut ffi::sqlite3_file, &'static ffi::sqlite3_io_methods) {
    // SAFETY: `file` was opened by `open` above, so the system's file lies after it and has methods.
    unsafe {
        let real = file.byte_add(REAL_AT);
        (real, &*(*real).pMethods)
    }
}

fn observed<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Observed {
    // SAFETY: `file` was opened by `open` above; SQLite uses a file from one thread at a time.
    unsafe { &mut *(*file.cast::<Shim>()).observed }
}

/// The bytes of an open file.
fn whole(file: *mut ffi::sqlite3_file) -> Vec<u8> {
    let (real, methods) = real(file);
    let mut size = 0;
    let mut bytes = Vec::new();
    // SAFETY: an open file can tell its size and be read into memory of that size.
    unsafe {
        if methods.xFileSize.is_some_and(|size_of| size_of(real, &mut size) == ffi::SQLITE_OK) && size > 0 {
            bytes.resize(size as usize, 0);
            methods.xRead.map(|read| read(real, bytes.as_mut_ptr().cast(), size as c_int, 0));
        }
    }
    bytes
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let (real, methods) = real(file);
    // SAFETY: SQLite closes a file once, so what `open` leaked is taken back once.
    unsafe {
        drop(Box::from_raw((*file.cast::<Shim>()).observed));
        methods.xClose.map_or(ffi::SQLITE_OK, |close| close(real))
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, amount: c_int, at: i64) -> c_int {
    let (real, methods) = real(file);
    let observed = observed(file);
    // A disk that fills up takes whole sectors.
    let room = |is_cut: bool| if is_cut { amount / 2 / 512 * 512 } else { amount };
    // SAFETY: SQLite gives `amount` bytes.
    let act =
        |is_cut: bool| unsafe { Act::Write(at as u64, std::slice::from_raw_parts(from.cast::<u8>(), room(is_cut) as usize).to_vec()) };
    let run = &mut |is_cut: bool| match room(is_cut) {
        0 => ffi::SQLITE_OK,
        // SAFETY: as above, to the system's file.
        amount => unsafe { methods.xWrite.map_or(ffi::SQLITE_IOERR_WRITE, |write| write(real, from, amount, at)) },
    };
    let whole = || whole(file);
    observed.inner.perform(Asked { path: &observed.path, kind: Kind::Write, whole: &whole, act: &act, run, syncs_folder: false })
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let (real, methods) = real(file);
    let observed = observed(file);
    // SAFETY: to the system's file, as SQLite asked.
    let run = &mut |_| unsafe { methods.xTruncate.map_or(ffi::SQLITE_IOERR_TRUNCATE, |truncate| truncate(real, size)) };
    let whole = || whole(file);
    let act = |_| Act::Truncate(size as u64);
    observed.inner.perform(Asked { path: &observed.path, kind: Kind::Truncate, whole: &whole, act: &act, run, syncs_folder: false })
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let (real, methods) = real(file);
    let observed = observed(file);
    // SAFETY: to the system's file, as SQLite asked.
    let run = &mut |_| unsafe { methods.xSync.map_or(ffi::SQLITE_IOERR_FSYNC, |sync| sync(real, flags)) };
    let whole = || whole(file);
    let syncs_folder = observed.owes_folder;
    let asked = Asked { path: &observed.path, kind: Kind::Sync, whole: &whole, act: &|_| Act::Sync, run, syncs_folder };
    let result = observed.inner.perform(asked);
    observed.owes_folder &= result != ffi::SQLITE_OK;
    result
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, amount: c_int, at: i64) -> c_int {
    if observed(file).inner.refuses_read() {
        return ffi::SQLITE_IOERR_READ;
    }
    let (real, methods) = real(file);
    // SAFETY: to the system's file, into memory that SQLite gave.
    unsafe { methods.xRead.map_or(ffi::SQLITE_IOERR_READ, |read| read(real, into, amount, at)) }
}

/// Passes a call on to the system's file.
macro_rules! pass_on {
    ($($name:ident = $method:ident($($argument:ident: $kind:ty),*) -> $otherwise:expr;)*) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $kind)*) -> c_int {
            let (real, methods) = real(file);
            // SAFETY: to the system's file, with what SQLite gave.
            unsafe { methods.$method.map_or($otherwise, |call| call(real $(, $argument)*)) }
        })*
    };
}

pass_on! {
    file_size = xFileSize(size: *mut i64) -> ffi::SQLITE_IOERR_FSTAT;
    lock = xLock(level: c_int) -> ffi::SQLITE_IOERR_LOCK;
    unlock = xUnlock(level: c_int) -> ffi::SQLITE_IOERR_UNLOCK;
    check_reserved_lock = xCheckReservedLock(is_held: *mut c_int) -> ffi::SQLITE_IOERR_CHECKRESERVEDLOCK;
    file_control = xFileControl(what: c_int, argument: *mut c_void) -> ffi::SQLITE_NOTFOUND;
    sector_size = xSectorSize() -> 512;
    device_characteristics = xDeviceCharacteristics() -> 0;
    shm_map = xShmMap(page: c_int, size: c_int, extends: c_int, at: *mut *mut c_void) -> ffi::SQLITE_IOERR_SHMMAP;
    shm_lock = xShmLock(offset: c_int, amount: c_int, flags: c_int) -> ffi::SQLITE_IOERR_SHMLOCK;
    shm_unmap = xShmUnmap(deletes: c_int) -> ffi::SQLITE_OK;
    fetch = xFetch(at: i64, amount: c_int, page: *mut *mut c_void) -> ffi::SQLITE_IOERR_MMAP;
    unfetch = xUnfetch(at: i64, page: *mut c_void) -> ffi::SQLITE_OK;
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    let (real, methods) = real(file);
    if let Some(barrier) = methods.xShmBarrier {
        // SAFETY: to the system's file, as SQLite asked.
        unsafe { barrier(real) }
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
