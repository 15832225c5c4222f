//! Where and when figures were measured, and of which versions; no name of the machine.

use std::fs;
use std::process::Command;

use serde_json::{Map, Value, json};

/// All of it.
pub fn describe(rounds: usize, read: usize) -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let features = ["sse2", "avx2", "avx512f"].into_iter().zip([
        cfg!(target_feature = "sse2"),
        cfg!(target_feature = "avx2"),
        cfg!(target_feature = "avx512f"),
    ]);
    json!({
        "cpu": model.map_or("unknown", |(_, model)| model.trim()),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        // Without what its builder has put behind the version.
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().split('-').next(),
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "compiler": said(Command::new("rustc").arg("--version")),
        "built_for": features.filter(|(_, has)| *has).map(|(feature, _)| feature).collect::<Vec<_>>(),
        "date": said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
        "rounds": rounds,
        "read": read,
        "versions": versions(),
    })
}

fn said(command: &mut Command) -> String {
    command.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The versions of the libraries in this program.
fn versions() -> Value {
    let mut versions = Map::new();
    for package in include_str!("../Cargo.lock").split("[[package]]") {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"'))
        };
        if let (Some(name), Some(version)) = (field("name"), field("version"))
            && PACKAGES.contains(&name)
        {
            versions.insert(name.into(), version.into());
        }
    }
    Value::Object(versions)
}

const PACKAGES: [&str; 16] = [
    "bytes",
    "fastwebsockets",
    "hyper",
    "sockeye",
    "sockudo-ws",
    "soketto",
    "tokio",
    "tokio-tungstenite",
    "tokio-websockets",
    "tungstenite",
    "web-socket",
    "ws-net",
    "wtx",
    "yawc",
    "simdutf8",
    "zlib-rs",
];
