//! The kinds of roles and the endpoints that each comes with: a table, from what the roles' clients use.
//! Server-to-server services (DssAuthWebService, ServerSyncWebService, ApiRemoting30) are on no list, so that
//! nothing can switch them on.

use super::endpoint::{Authentication, Encoding, Endpoint, ExternalPath, Methods};
use super::role::ClientCertificateForm;
use crate::{limits, named_setting};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoleKind {
    ManagementPoint,
    SoftwareUpdatePoint,
    DistributionPoint,
    FallbackStatusPoint,
    EnrollmentProxyPoint,
    ApplicationCatalog,
    PolicyModule,
    /// Any endpoint of any internal service.
    Custom,
}

pub(super) const NAMES: [(&str, RoleKind); 8] = [
    ("management-point", RoleKind::ManagementPoint),
    ("software-update-point", RoleKind::SoftwareUpdatePoint),
    ("distribution-point", RoleKind::DistributionPoint),
    ("fallback-status-point", RoleKind::FallbackStatusPoint),
    ("enrollment-proxy-point", RoleKind::EnrollmentProxyPoint),
    ("application-catalog", RoleKind::ApplicationCatalog),
    ("policy-module", RoleKind::PolicyModule),
    ("custom", RoleKind::Custom),
];

named_setting!(RoleKind, NAMES);

/// What has to be there before a built-in endpoint can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// Published under `CCM_Proxy_ServerAuth` only, to clients that show a token: not before tokens are judged.
    Token,
    /// Negotiate and NTLM speak to one connection: not before connections are pinned. Off by default then too.
    Affinity,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct BuiltInEndpoint {
    pub name: &'static str,
    pub needs: Needs,
    pub waits: bool,
    pub bulk: bool,
}

const fn plain(name: &'static str) -> BuiltInEndpoint {
    BuiltInEndpoint { name, needs: Needs::Nothing, waits: false, bulk: false }
}

const fn needing(name: &'static str, needs: Needs) -> BuiltInEndpoint {
    BuiltInEndpoint { needs, ..plain(name) }
}

const fn bulk(name: &'static str) -> BuiltInEndpoint {
    BuiltInEndpoint { bulk: true, ..plain(name) }
}

const MANAGEMENT_POINT: [BuiltInEndpoint; 12] = [
    plain("CCM_System"),
    needing("CCM_System_TokenAuth", Needs::Token),
    needing("CCM_System_WindowsAuth", Needs::Affinity),
    plain("CCM_Incoming"),
    plain("SMS_MP"),
    needing("SMS_MP_TokenAuth", Needs::Token),
    needing("SMS_MP_WindowsAuth", Needs::Affinity),
    plain("CCM_STS"),
    bulk("CCM_Client"),
    // The notification channel: every client holds one request open all day.
    BuiltInEndpoint { waits: true, ..plain("BGB") },
    needing("CMUserService", Needs::Affinity),
    needing("CMUserService_WindowsAuth", Needs::Affinity),
];
const SOFTWARE_UPDATE_POINT: [BuiltInEndpoint; 5] = [
    plain("ClientWebService"),
    plain("SimpleAuthWebService"),
    plain("ReportingWebService"),
    plain("SelfUpdate"),
    bulk("Content"),
];
const DISTRIBUTION_POINT: [BuiltInEndpoint; 2] = [bulk("SMS_DP_SMSPKG$"), bulk("SMS_DP_SMSSIG$")];
const FALLBACK_STATUS_POINT: [BuiltInEndpoint; 1] = [plain("SMS_FSP")];
const ENROLLMENT_PROXY_POINT: [BuiltInEndpoint; 1] = [plain("EnrollmentServer")];
const APPLICATION_CATALOG: [BuiltInEndpoint; 1] = [needing("CMApplicationCatalog", Needs::Affinity)];
const POLICY_MODULE: [BuiltInEndpoint; 1] = [plain("CMCertificateRegistration")];

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

impl RoleKind {
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// The endpoints that come with the kind; none for custom.
    pub fn built_in(self) -> &'static [BuiltInEndpoint] {
        match self {
            RoleKind::ManagementPoint => &MANAGEMENT_POINT,
            RoleKind::SoftwareUpdatePoint => &SOFTWARE_UPDATE_POINT,
            RoleKind::DistributionPoint => &DISTRIBUTION_POINT,
            RoleKind::FallbackStatusPoint => &FALLBACK_STATUS_POINT,
            RoleKind::EnrollmentProxyPoint => &ENROLLMENT_PROXY_POINT,
            RoleKind::ApplicationCatalog => &APPLICATION_CATALOG,
            RoleKind::PolicyModule => &POLICY_MODULE,
            RoleKind::Custom => &[],
        }
    }

    /// Whether a role of this kind is published without `enabled = true`. Custom roles name every endpoint.
    pub fn on_by_default(self) -> bool {
        matches!(self, RoleKind::ManagementPoint | RoleKind::SoftwareUpdatePoint | RoleKind::Custom)
    }

    /// Whether its clients show nothing, because they have nothing to show yet.
    pub fn is_anonymous(self) -> bool {
        matches!(self, RoleKind::FallbackStatusPoint | RoleKind::EnrollmentProxyPoint)
    }

    /// The verbs of its built-in endpoints.
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            RoleKind::ManagementPoint => &["HEAD", "CCM_POST", "BITS_POST", "GET", "PROPFIND", "POST"],
            RoleKind::SoftwareUpdatePoint | RoleKind::PolicyModule => &["GET", "HEAD", "POST"],
            RoleKind::DistributionPoint => &["HEAD", "GET", "PROPFIND", "OPTIONS"],
            RoleKind::FallbackStatusPoint => &["POST"],
            RoleKind::EnrollmentProxyPoint | RoleKind::ApplicationCatalog => &["GET", "POST"],
            RoleKind::Custom => &[],
        }
    }

    /// Bytes of a request body unless the site says otherwise.
    pub fn max_request_body(self) -> u64 {
        match self {
            RoleKind::ManagementPoint | RoleKind::SoftwareUpdatePoint => 32 * MIB,
            RoleKind::DistributionPoint => 64 * KIB,
            RoleKind::FallbackStatusPoint => MIB,
            _ => 16 * MIB,
        }
    }

    /// How the client's certificate is handed on unless the site says otherwise.
    pub fn client_certificate(self) -> ClientCertificateForm {
        match self {
            RoleKind::Custom => ClientCertificateForm::Leaf,
            _ => ClientCertificateForm::None,
        }
    }

    /// A built-in endpoint with the settings that it comes with.
    pub fn endpoint(self, built_in: &BuiltInEndpoint) -> Endpoint {
        let methods = Methods::new(self.methods().iter().copied());
        Endpoint {
            name: built_in.name.to_owned(),
            external_path: ExternalPath::BehindRole(built_in.name.to_owned()),
            methods: methods.expect("the verbs of built-in kinds are valid, a test says so"),
            authentication: if self.is_anonymous() { Authentication::Anonymous } else { Authentication::Certificate },
            max_request_body: self.max_request_body(),
            waits: built_in.waits,
            answer_timeout: if built_in.waits { limits::WAITING_ANSWER_TIMEOUT } else { limits::ANSWER_TIMEOUT },
            idle_timeout: limits::BODY_IDLE,
            encoding: Encoding::Strict,
            bulk: built_in.bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_endpoints_are_valid_and_the_dangerous_ones_are_absent() {
        let mut count = 0;
        for (name, kind) in NAMES {
            assert_eq!((kind.name(), RoleKind::parse(name)), (name, Some(kind)));
            for built_in in kind.built_in() {
                let endpoint = kind.endpoint(built_in);
                assert_eq!(ExternalPath::parse(built_in.name), Ok(endpoint.external_path));
                for never in ["DssAuthWebService", "ServerSyncWebService", "ApiRemoting30"] {
                    assert!(!built_in.name.eq_ignore_ascii_case(never));
                }
                count += 1;
            }
        }
        assert_eq!(count, 23);
        assert_eq!(RoleKind::parse("secondary"), None);
    }

    #[test]
    fn only_the_two_kinds_of_a_cloud_management_gateway_are_on() {
        let on: Vec<&str> = NAMES.iter().filter(|(_, kind)| kind.on_by_default()).map(|(name, _)| *name).collect();
        assert_eq!(on, ["management-point", "software-update-point", "custom"]);
        let waiting: Vec<&str> =
            RoleKind::ManagementPoint.built_in().iter().filter(|row| row.waits).map(|row| row.name).collect();
        assert_eq!(waiting, ["BGB"]);
    }
}
