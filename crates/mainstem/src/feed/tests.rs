//! Offsets as they are written, and in which order they are. What is read by them is in the contract of primaries.
use super::Offset;

#[test]
fn what_is_written_is_read_again() {
    let table = [
        ("0", Offset::START),
        ("12", Offset::after(12)),
        ("12.34", Offset { version: 12, page: 0, place: 34, epoch: None }),
        ("12.3.34", Offset { version: 12, page: 3, place: 34, epoch: None }),
        ("12.34@00ab34cd", Offset { version: 12, page: 0, place: 34, epoch: Some(0x00ab_34cd) }),
        ("12@ffffffff", Offset::after(12).in_epoch(u32::MAX)),
    ];
    for (text, offset) in table {
        assert_eq!(text.parse::<Offset>().expect(text), offset, "{text}");
        assert_eq!(offset.to_string(), text);
    }
}

#[test]
fn what_is_no_offset_is_refused() {
    let wrong = [
        "",
        ".",
        "1.",
        ".1",
        "1.2.3.4",
        "-1",
        "+1",
        "1.+2",
        "1 ",
        " 1",
        "1e3",
        "0x1",
        "1@",
        "1@123",
        "1@0123456g",
        "1@+1234567",
        "1@12345678@",
        "18446744073709551615",
        "18446744073709551616",
        "1.18446744073709551615",
        "١",
    ];
    for text in wrong {
        assert!(text.parse::<Offset>().is_err(), "{text}");
    }
}

#[test]
fn offsets_are_in_the_order_of_events() {
    let order = ["0", "1", "2.0", "2.1", "2.2", "2.10", "2.1.0", "2.1.1", "2.10.1", "2", "3.1", "3", "10.1", "10"];
    let offsets: Vec<Offset> = order.iter().map(|text| text.parse().expect(text)).collect();
    assert!(offsets.is_sorted(), "{offsets:?}");
}
