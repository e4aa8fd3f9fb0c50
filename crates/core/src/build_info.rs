//! What was built: version, commit and compiler, as `--version`, `/status` and `cmg_build_info` show them.
//! Never shown to a client that has not proved who it is.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    pub version: &'static str,
    /// `unknown` unless the build was told with `CMG_COMMIT`.
    pub commit: &'static str,
    /// The compiler, or the oldest one that the workspace takes unless the build was told with `CMG_RUSTC`.
    pub rustc: &'static str,
    pub profile: &'static str,
}

pub const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    commit: match option_env!("CMG_COMMIT") {
        Some(commit) => commit,
        None => "unknown",
    },
    rustc: match option_env!("CMG_RUSTC") {
        Some(rustc) => rustc,
        None => concat!(">=", env!("CARGO_PKG_RUST_VERSION")),
    },
    profile: if cfg!(debug_assertions) { "debug" } else { "release" },
};
