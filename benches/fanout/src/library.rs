//! Whose servers there are.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use crate::Outcome;
use crate::plan::Plan;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    Sockeye,
    TokioTungstenite,
    SockudoWs,
    Bun,
    Write,
}

impl Library {
    pub const ALL: [Self; 5] = [Self::Sockeye, Self::TokioTungstenite, Self::SockudoWs, Self::Bun, Self::Write];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sockeye => "sockeye",
            Self::TokioTungstenite => "tokio-tungstenite, broadcast",
            Self::SockudoWs => "sockudo-ws",
            Self::Bun => "Bun",
            Self::Write => "write",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|library| library.name() == name)
    }

    /// Whether it has topics of this kind.
    pub fn has(self, plan: Plan) -> bool {
        match (self, plan) {
            (Self::Sockeye, _) | (_, Plan::Same(1)) => true,
            // It has no topics, and none of the others patterns.
            (Self::Write, _) | (_, Plan::Patterns) => false,
            (Self::TokioTungstenite | Self::SockudoWs | Self::Bun, Plan::Same(_) | Plan::Own(_)) => true,
        }
    }

    /// What starts its server.
    ///
    /// # Errors
    ///
    /// Says why it cannot be had.
    pub fn command(self, plan: Plan, connections: usize) -> Outcome<Command> {
        let mut command = if self == Self::Bun {
            static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
            let folder = FOLDER.get_or_init(|| install().map_err(|error| error.to_string())).clone()?;
            let mut command = Command::new(folder.join("node_modules/bun/bin/bun.exe"));
            command.arg(folder.join("bun.mjs")).env("NODE_ENV", "production");
            command
        } else {
            let mut command = Command::new(env::current_exe()?);
            command.args(["serve", self.name()]);
            command
        };
        command.args(plan.to_string().split(' ')).arg(connections.to_string());
        Ok(command)
    }
}

/// Has npm install Bun beside this program, unless that was done before: where.
fn install() -> Outcome<PathBuf> {
    let folder = env::current_exe()?.parent().ok_or("this program is nowhere")?.join("fanout");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("bun.mjs"), include_str!("bun.mjs"))?;
    let package = include_str!("package.json");
    let known = fs::read_to_string(folder.join("package.json")).unwrap_or_default();
    // npm writes this one at the end.
    if known != package || !folder.join("node_modules/.package-lock.json").exists() {
        fs::write(folder.join("package.json"), package)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(&folder);
        let output = npm.output().map_err(|error| format!("npm does not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
    }
    Ok(folder)
}
