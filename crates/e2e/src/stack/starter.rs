//! Starts one program of a stack: writes its file, makes its state folder, waits until it says that it is ready.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::builder::Builder;
use super::files;
use crate::cable::Door;
use crate::pki::{Identity, Pki};
use crate::program::{Program, Start, binaries};

const CONNECTION_POINT: &str = "cmg-connection-point";

pub(super) struct Starter {
    pub builder: Builder,
    pub folder: PathBuf,
}

impl Starter {
    pub async fn site_role(&self, pki: &Pki) -> Result<Program> {
        let text = files::site_role(pki, &self.folder.join(files::SITE_FILE));
        let path = self.write(files::SITE_ROLE_FILE, &text)?;
        self.program("cmg-mock-site-role", "site-role", &path, &[]).await
    }

    pub async fn gateway(&self, pki: &Pki, name: &str) -> Result<Program> {
        self.gateway_at(pki, name, &[]).await
    }

    /// A gateway that listens where the test says: `CLIENT` or `TUNNEL`, and an address.
    pub async fn gateway_at(&self, pki: &Pki, name: &str, listen: &[(&str, SocketAddr)]) -> Result<Program> {
        let text = files::gateway(&self.builder, pki, name, &self.state(name)?);
        let path = self.write(&files::file_of(name), &text)?;
        let mut environment = self.builder.gateway_environment.clone();
        let keys = listen.iter().map(|(key, address)| (format!("CMG_GATEWAY__LISTEN__{key}"), address.to_string()));
        environment.extend(keys);
        self.program("cmg-gateway", name, &path, &environment).await
    }

    /// A connection point that reads its site's configuration from `source`, a path or a URL.
    pub async fn connection_point(&self, pki: &Pki, name: &str, shown: &Identity, source: &str) -> Result<Program> {
        self.connection_point_called(name, pki, name, shown, source).await
    }

    /// One that has a log and a state folder of another name than its own, as a copy of it on another machine would.
    pub async fn connection_point_called(
        &self,
        called: &str,
        pki: &Pki,
        name: &str,
        shown: &Identity,
        source: &str,
    ) -> Result<Program> {
        let text = files::connection_point_file(&self.builder, pki, name, shown, source, &self.state(called)?);
        let path = self.write(&files::file_of(called), &text)?;
        self.program(CONNECTION_POINT, called, &path, &self.builder.connection_point_environment).await
    }

    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        // Renamed into place, so that nobody reads half of it.
        let whole = self.folder.join(format!("{name}.new"));
        fs::write(&whole, text).with_context(|| format!("cannot write {}", whole.display()))?;
        fs::rename(&whole, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn state(&self, name: &str) -> Result<PathBuf> {
        let state = self.folder.join("state").join(name);
        fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
        Ok(state)
    }

    async fn program(
        &self,
        binary: &str,
        name: &str,
        file: &Path,
        environment: &[(String, String)],
    ) -> Result<Program> {
        let folder = self.builder.binaries.clone().map_or_else(binaries, Ok)?;
        let is_gateway = binary == "cmg-gateway";
        // The gateways' side of a cable is where we are ourselves.
        let far = self.builder.far.as_ref().filter(|_| !is_gateway);
        let before = match far {
            Some(far) => far.before_command(),
            None if is_gateway => self.builder.before_gateways.clone(),
            None if binary == CONNECTION_POINT => self.builder.before_connection_points.clone(),
            None => Vec::new(),
        };
        let file = file.to_string_lossy();
        let environment: Vec<_> = environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut program = Program::start(Start {
            name,
            before: &before,
            binary: &folder.join(binary),
            arguments: &["--config", &file],
            environment: &environment,
            folder: &self.folder,
        })
        .await?;
        if let Some(far) = far {
            program.door = Some(Door::open(program.address("admin")?, far.clone()).await?);
        }
        Ok(program)
    }
}
