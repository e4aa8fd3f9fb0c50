//! The commands that are not the service: `check`, `site forget`. What they print is for people; how they end is
//! for scripts.

use std::path::Path;
use std::process::ExitCode as ProcessExit;

use cmg_core::configuration::Problems;
use cmg_core::shutdown::ExitCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::program::StartError;
use crate::settings::GatewaySettings;

/// Prints everything that is wrong with a file.
pub fn report(problems: &Problems) -> ProcessExit {
    eprintln!("{problems}");
    let code = if problems.certificates_only() { ExitCode::Certificate } else { ExitCode::Configuration };
    code.into()
}

/// Prints why the program failed.
pub fn failed(why: &str) -> ProcessExit {
    eprintln!("cmg-gateway: {why}");
    ExitCode::RunTimeFailure.into()
}

/// Prints why the program could not start.
pub fn could_not_start(why: &StartError) -> ProcessExit {
    eprintln!("cmg-gateway: {why}");
    let code = match why {
        StartError::Tls(_) => ExitCode::Certificate,
        StartError::Listen { .. } | StartError::Workers(_) | StartError::Store(_) | StartError::Admin(_) => {
            ExitCode::RunTimeFailure
        }
    };
    code.into()
}

/// The file has been read without a problem.
pub fn check(path: &Path, settings: &GatewaySettings, print: bool) -> ProcessExit {
    if print {
        for setting in settings.reading.settings() {
            println!("{setting}");
        }
    }
    println!("{}: no problem found", path.display());
    ExitCode::Fine.into()
}

/// Asks the running gateway to forget a site's configuration.
pub async fn forget_site(settings: &GatewaySettings, code: &str) -> ProcessExit {
    let socket = &settings.admin.socket;
    match ask(socket, &format!("/sites/{code}/forget")).await {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
            println!("{}", body(&answer));
            ExitCode::Fine.into()
        }
        Ok(answer) => {
            eprintln!("cmg-gateway: {}", body(&answer));
            ExitCode::RunTimeFailure.into()
        }
        Err(error) => {
            let advice = "is the gateway running, and may this user open the socket?";
            eprintln!("cmg-gateway: {}: {error}; {advice}", socket.display());
            ExitCode::NetworkOrPeer.into()
        }
    }
}

async fn ask(socket: &Path, path: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    let request = format!("POST {path} HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or(answer, |(_, body)| body).trim()
}
