//! What is compressed at one end is the same at the other, whatever was agreed on, and however two connections take turns
//! with the compressors. The first bytes are what the ends have set and where to cut; the others are the program.
#![no_main]

use sockeye::Config;
use sockeye::deflate::keep_compressors;
use sockeye_fuzz::deflate::{Line, SETTINGS, settings, turns};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&[fragment_size, seed], input)) = input.split_first_chunk() else { return };
    let Some((&client, input)) = input.split_first_chunk::<SETTINGS>() else { return };
    let Some((&server, script)) = input.split_first_chunk::<SETTINGS>() else { return };
    let mut config = Config::default();
    config.fragment_size = 1 + usize::from(fragment_size) * 64;
    let mut settings = [settings(client), settings(server)];
    // Whether a peer keeps to a ratio is another matter.
    settings.iter_mut().for_each(|deflate| deflate.max_ratio = None);
    // None, one that they take from each other, or one for each.
    keep_compressors(usize::from(seed % 3) * 16);
    let mut lines = Line::two(&settings, &config);
    for (line, turn) in turns(script) {
        lines[line].take(turn, &sockeye_fuzz::sizes(seed));
    }
    lines.into_iter().for_each(Line::finish);
});
