//! Range: a part lies within the file and is not empty, and asked for in plain words it is the
//! same. The first eight bytes are the file's length.

use appliance_front::fuzzing::range;

pub(crate) fn fuzz(bytes: &[u8]) {
    let Some((len, field)) = bytes.split_first_chunk() else {
        return;
    };
    let len = u64::from_le_bytes(*len);
    let Some(part) = range(field, len) else {
        return;
    };
    assert!(part.start < part.end && part.end <= len);
    let plain = format!("bytes={}-{}", part.start, part.end - 1);
    assert_eq!(range(plain.as_bytes(), len), Some(part.clone()));
    let text = std::str::from_utf8(field).expect("a range is ASCII");
    assert!(!text.contains(','), "several ranges get the whole");
    let spec = text.split_once('=').expect("a unit").1.trim();
    let (first, last) = spec.split_once('-').expect("a hyphen");
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), _) => assert_eq!(part.start, first),
        (Err(_), Ok(count)) => assert_eq!(part.start, len.saturating_sub(count)),
        // More than 64 bits: all of it.
        (Err(_), Err(_)) => assert_eq!(part.start, 0),
    }
}
