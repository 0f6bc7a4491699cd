//! Clock readings as text: `2026-08-04T10:00:00.123Z`, and `#7` after it where the counter is not zero.
//!
//! The calendar arithmetic counts years from March, as in Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
use mainstem_core::stamp::Time;

const DAY_MS: u64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;
const ERA_DAYS: u64 = 146_097;

/// Writes a reading.
pub fn time_text(time: Time) -> String {
    let (days, ms) = (time.ms() / DAY_MS + EPOCH_DAYS, time.ms() % DAY_MS);
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000);
    if time.counter() == 0 { text } else { format!("{text}#{}", time.counter()) }
}

/// Reads exactly what [`time_text`] writes.
pub fn parse_time(text: &str) -> Option<Time> {
    let (wall, counter) = text.split_once('#').unwrap_or((text, "0"));
    let numbers: Vec<u64> = wall.strip_suffix('Z')?.split(['-', 'T', ':', '.']).map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let [year, month @ 1..=12, day @ 1..=31, hour @ 0..=23, minute @ 0..=59, second @ 0..=59, ms @ 0..=999] = numbers[..] else {
        return None;
    };
    if !(1970..=20_000).contains(&year) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year / 400, year % 400);
    let days = era * ERA_DAYS + 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - EPOCH_DAYS;
    let ms = days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1000 + ms;
    let time = Time(Time::from_ms(ms).0 | u64::from(counter.parse::<u16>().ok()?));
    // Other spellings of one time, and days that no month has, do not come back as they were.
    (time_text(time) == text).then_some(time)
}
