//! The commands that are not the service: `check`, `site forget`. What they print is for people; how they end is
//! for scripts.

use std::path::Path;
use std::sync::Arc;

use cmg_core::command_line::{failed, no_problem};
use cmg_core::shutdown::ExitCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::PROGRAM;
use crate::program::{StartError, client_tls, tunnel_tls};
use crate::settings::GatewaySettings;

/// The file has been read without a problem; judges what a start would make of it.
pub fn check(file: &Path, settings: &GatewaySettings, print: bool) -> ExitCode {
    let tls = client_tls(settings, &Arc::default()).and_then(|_| tunnel_tls(settings));
    if let Err(fault) = tls.map_err(StartError::from) {
        return failed(PROGRAM, &fault, fault.exit_code());
    }
    no_problem(file, &settings.reading, print);
    ExitCode::Fine
}

/// Asks the running gateway to forget a site's configuration.
pub async fn forget_site(settings: &GatewaySettings, code: &str) -> ExitCode {
    let socket = &settings.admin.socket;
    match ask(socket, &format!("/sites/{code}/forget")).await {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
            println!("{}", body(&answer));
            ExitCode::Fine
        }
        Ok(answer) => failed(PROGRAM, body(&answer), ExitCode::RunTimeFailure),
        Err(error) => {
            let advice = "is the gateway running, and may this user open the socket?";
            failed(PROGRAM, format_args!("{}: {error}; {advice}", socket.display()), ExitCode::NetworkOrPeer)
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
