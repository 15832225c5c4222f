//! Servers in JavaScript: Bun's, which is uWebSockets, and `ws` on Node. npm installs both beside this program when they are
//! first asked for; where that fails, or there is no npm or Node, they cannot be had.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

/// What runs a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Bun,
    Node,
}

impl Engine {
    /// What starts the server, which prints its port first and ends with its standard input.
    ///
    /// # Errors
    ///
    /// Says why it cannot be had.
    pub fn command(self) -> Result<Command, String> {
        static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let folder = FOLDER.get_or_init(install).clone()?;
        let (mut command, script) = match self {
            Self::Bun => (Command::new(folder.join("node_modules/bun/bin/bun.exe")), "bun.mjs"),
            Self::Node => (Command::new("node"), "node.mjs"),
        };
        command.arg(folder.join(script)).env("NODE_ENV", "production");
        Ok(command)
    }

    /// Which versions there are.
    ///
    /// # Errors
    ///
    /// Says why it cannot be had.
    pub fn version(self) -> Result<String, String> {
        let mut command = self.command()?;
        command.arg("--version");
        let output = command.stderr(Stdio::null()).output().map_err(|error| format!("it does not start: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err("it does not start".into()),
        }
    }
}

/// Installs them, unless that was done before, and says where.
fn install() -> Result<PathBuf, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let program = env::current_exe().map_err(|error| text(&error))?;
    let folder = program.parent().unwrap_or(Path::new(".")).join("javascript");
    fs::create_dir_all(&folder).map_err(|error| text(&error))?;
    let is_there = FILES.iter().all(|(name, content)| {
        fs::read_to_string(folder.join(name)).is_ok_and(|there| there == *content) && folder.join(INSTALLED).exists()
    });
    if !is_there {
        for (name, content) in FILES {
            fs::write(folder.join(name), content).map_err(|error| text(&error))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(&folder);
        let output = npm.output().map_err(|error| format!("npm does not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    Ok(folder)
}

/// What is in the folder: the packages and the servers.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("javascript/package.json")),
    ("bun.mjs", include_str!("javascript/bun.mjs")),
    ("node.mjs", include_str!("javascript/node.mjs")),
];

/// What npm writes at the end.
const INSTALLED: &str = "node_modules/.package-lock.json";
