//! How a program ended, as its exit code (O-07).

/// The closed list; `analyze` has its own meaning for 1 and 10 when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Fine = 0,
    RunTimeFailure = 1,
    Usage = 2,
    Configuration = 3,
    Certificate = 4,
    NetworkOrPeer = 5,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

impl std::process::Termination for ExitCode {
    fn report(self) -> std::process::ExitCode {
        self.into()
    }
}
