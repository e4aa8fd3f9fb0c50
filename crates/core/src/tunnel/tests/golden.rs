//! Every message of the proto as bytes written by hand (T-14). A test that fails here means that an older
//! peer will no longer understand us.

use bytes::Bytes;
use prost::Message;

use super::super::generated::*;

/// Hex with spaces and comments (`#` to the end of the line) to bytes.
fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.lines().flat_map(|line| line.split('#').next()).collect();
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    assert_eq!(digits.len() % 2, 0, "whole bytes: {text}");
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

fn pins<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M, golden: &str) {
    let golden = hex(golden);
    assert_eq!(M::decode(&golden[..]).unwrap(), *message, "the golden bytes mean this message");
    assert_eq!(message.encode_to_vec(), golden, "this message is written as the golden bytes");
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn field(name: &'static str, value: &'static str) -> Field {
    Field { name: bytes(name), value: bytes(value) }
}

const VERSIONS: Option<VersionRange> = Some(VersionRange { lowest: 1, highest: 2 });

#[test]
fn request() {
    let head = RequestHead {
        method: bytes("GET"),
        target: bytes("/a?b"),
        fields: vec![field("A", "1")],
        request_id: "r1".into(),
        role_id: 300,
        deadline_ms: 1000,
        lane: Lane::Bulk.into(),
        content_length: Some(0),
        client_connection: 5,
        proof: ClientProof::Certificate.into(),
        client_chain: vec![Bytes::from_static(&[0x30, 0x00])],
    };
    let golden_head = "
        0a 03 47 45 54           # 1 method: GET
        12 04 2f 61 3f 62        # 2 target: /a?b
        1a 06 0a 01 41 12 01 31  # 3 fields: A, 1
        22 02 72 31              # 4 request_id: r1
        28 ac 02                 # 5 role_id: 300
        30 e8 07                 # 6 deadline_ms: 1000
        38 02                    # 7 lane: bulk
        40 00                    # 8 content_length: 0, present
        48 05                    # 9 client_connection: 5
        50 01                    # 10 proof: certificate
        5a 02 30 00              # 11 client_chain
    ";
    pins(&head, golden_head);
    let length = hex(golden_head).len();
    assert_eq!(length, 0x29);
    let part = RequestPart { head: Some(head), end: Some(End::default()), data: bytes("xyz") };
    pins(&part, &format!("0a 29 {golden_head} # 1 head \n 12 00 # 2 end, empty \n 7a 03 78 79 7a # 15 data: xyz"));
}

#[test]
fn answer() {
    let head = ResponseHead {
        status: 206,
        reason: bytes("OK"),
        fields: vec![field("B", "2")],
        content_length: Some(9),
        role_micros: 7,
    };
    let golden_head = "
        08 ce 01                 # 1 status: 206
        12 02 4f 4b              # 2 reason: OK
        1a 06 0a 01 42 12 01 32  # 3 fields: B, 2
        20 09                    # 4 content_length: 9
        28 07                    # 5 role_micros: 7
    ";
    pins(&head, golden_head);
    let end = End { trailers: vec![field("T", "3")] };
    pins(&end, "0a 06 0a 01 54 12 01 33 # 1 trailers: T, 3");
    let part = ResponsePart { head: Some(head), end: Some(end), handed_to_role: true, refused: None, data: bytes("d") };
    pins(
        &part,
        &format!(
            "0a 13 {golden_head} \n 12 08 0a 06 0a 01 54 12 01 33 # 2 end \n 18 01 # 3 handed_to_role \n 7a 01 64 # 15"
        ),
    );
}

#[test]
fn refusal_and_passthrough() {
    let refused = Refused { reason: RefusalReason::Draining.into(), detail: "bye".into(), not_started: true };
    pins(&refused, "08 08 # 1 reason: draining \n 12 03 62 79 65 # 2 detail: bye \n 18 01 # 3 not_started");
    let part = ResponsePart { refused: Some(refused), ..Default::default() };
    pins(&part, "22 09 08 08 12 03 62 79 65 18 01 # 4 refused");
    let piece = super::super::generated::Bytes { server_name: "a.b".into(), data: bytes("x") };
    pins(&piece, "0a 03 61 2e 62 # 1 server_name: a.b \n 7a 01 78 # 15 data: x");
}

#[test]
fn hellos() {
    pins(&VERSIONS.unwrap(), "08 01 # 1 lowest \n 10 02 # 2 highest");
    let gateway = GatewayHello {
        versions: VERSIONS,
        program: "g".into(),
        capabilities: vec!["c".into()],
        instance: "i".into(),
        boot_id: bytes("b"),
        workers: 2,
        bulk_connections: 1,
        lane: Lane::Interactive.into(),
        configuration_version: 7,
        configuration_digest: bytes("d"),
    };
    let golden = "
        0a 04 08 01 10 02  # 1 versions
        12 01 67           # 2 program: g
        1a 01 63           # 3 capabilities: c
        22 01 69           # 4 instance: i
        2a 01 62           # 5 boot_id: b
        30 02              # 6 workers
        38 01              # 7 bulk_connections
        40 01              # 8 lane: interactive
        48 07              # 9 configuration_version
        52 01 64           # 10 configuration_digest: d
    ";
    pins(&gateway, golden);
    let message = FromGateway { message: Some(from_gateway::Message::Hello(gateway)) };
    pins(&message, &format!("0a 1d {golden} # 1 hello"));
    let point = ConnectionPointHello {
        versions: VERSIONS,
        program: "p".into(),
        capabilities: vec!["c".into()],
        boot_id: bytes("b"),
        started_micros: 3,
        lane: Lane::Bulk.into(),
        max_exchanges: 900,
    };
    let golden = "
        0a 04 08 01 10 02  # 1 versions
        12 01 70           # 2 program: p
        1a 01 63           # 3 capabilities: c
        22 01 62           # 4 boot_id: b
        28 03              # 5 started_micros
        30 02              # 6 lane: bulk
        38 84 07           # 7 max_exchanges: 900
    ";
    pins(&point, golden);
    let message = FromConnectionPoint { message: Some(from_connection_point::Message::Hello(point)) };
    pins(&message, &format!("0a 16 {golden} # 1 hello"));
}

#[test]
fn the_rest_of_control() {
    use from_connection_point::Message as Point;
    use from_gateway::Message as Gateway;
    let gateway = |message| FromGateway { message: Some(message) };
    let point = |message| FromConnectionPoint { message: Some(message) };

    let heartbeat = Heartbeat { sequence: 4, seen: 3, quiet_ms: 300 };
    pins(&heartbeat, "08 04 # 1 sequence \n 10 03 # 2 seen \n 18 ac 02 # 3 quiet_ms");
    pins(&gateway(Gateway::Heartbeat(heartbeat)), "1a 07 08 04 10 03 18 ac 02 # 3 heartbeat");
    pins(&point(Point::Heartbeat(heartbeat)), "1a 07 08 04 10 03 18 ac 02 # 3 heartbeat");

    let drain = Drain { deadline_ms: 30_000 };
    pins(&drain, "08 b0 ea 01 # 1 deadline_ms: 30000");
    pins(&gateway(Gateway::Drain(drain)), "22 04 08 b0 ea 01 # 4 drain");
    pins(&point(Point::Drain(drain)), "22 04 08 b0 ea 01 # 4 drain");

    let goodbye = Goodbye { reason: GoodbyeReason::Incompatible.into(), detail: "u".into(), retry_after_ms: 5 };
    pins(&goodbye, "08 01 # 1 reason: incompatible \n 12 01 75 # 2 detail: u \n 18 05 # 3 retry_after_ms");
    pins(&gateway(Gateway::Goodbye(goodbye.clone())), "2a 07 08 01 12 01 75 18 05 # 5 goodbye");
    pins(&point(Point::Goodbye(goodbye)), "2a 07 08 01 12 01 75 18 05 # 5 goodbye");

    let configuration = SiteConfiguration { version: 7, publication: bytes("p") };
    pins(&configuration, "08 07 # 1 version \n 12 01 70 # 2 publication: p");
    pins(&point(Point::Configuration(configuration)), "12 05 08 07 12 01 70 # 2 configuration");

    let verdict = ConfigurationVerdict {
        version: 8,
        applied: true,
        problems: vec!["x".into()],
        version_in_force: 7,
        digest_in_force: bytes("d"),
    };
    let golden = "08 08 # 1 version \n 10 01 # 2 applied \n 1a 01 78 # 3 problems: x \n 20 07 # 4 \n 2a 01 64 # 5";
    pins(&verdict, golden);
    pins(&gateway(Gateway::Configuration(verdict)), &format!("12 0c {golden} \n # 2 configuration"));

    let in_force = ConfigurationInForce { version: 300, digest: bytes("d") };
    pins(&in_force, "08 ac 02 # 1 version: 300 \n 12 01 64 # 2 digest: d");
    pins(&gateway(Gateway::InForce(in_force)), "32 06 08 ac 02 12 01 64 # 6 in_force");
    pins(&gateway(Gateway::InForce(ConfigurationInForce::default())), "32 00 # 6 in_force: none");
}

#[test]
fn publication() {
    let endpoint = PublishedEndpoint {
        name: "E".into(),
        external_path: "P".into(),
        methods: vec!["GET".into()],
        authentication: Authentication::Certificate.into(),
        max_request_body: 300,
        waits: true,
        answer_timeout_ms: 1,
        idle_timeout_ms: 2,
        relaxed_encoding: true,
        bulk: true,
    };
    let golden_endpoint = "
        0a 01 45        # 1 name: E
        12 01 50        # 2 external_path: P
        1a 03 47 45 54  # 3 methods: GET
        20 01           # 4 authentication: certificate
        28 ac 02        # 5 max_request_body: 300
        30 01           # 6 waits
        38 01           # 7 answer_timeout_ms
        40 02           # 8 idle_timeout_ms
        48 01           # 9 relaxed_encoding
        50 01           # 10 bulk
    ";
    pins(&endpoint, golden_endpoint);
    let role = PublishedRole {
        id: 8,
        kind: "k".into(),
        endpoints: vec![endpoint],
        max_head: 16,
        client_certificate: ClientCertificateForm::Leaf.into(),
    };
    let golden_role =
        format!("08 08 # 1 id \n 12 01 6b # 2 kind: k \n 1a 1a {golden_endpoint} \n 20 10 # 4 \n 28 02 # 5");
    pins(&role, &golden_role);
    let trust = ClientTrust { roots: vec![bytes("r")], intermediates: vec![bytes("i")] };
    pins(&trust, "0a 01 72 # 1 roots: r \n 12 01 69 # 2 intermediates: i");
    let publication = Publication { site: "S".into(), roles: vec![role], client_trust: Some(trust) };
    let golden = format!("0a 01 53 # 1 site: S \n 12 25 {golden_role} \n 1a 06 0a 01 72 12 01 69 # 3 client_trust");
    pins(&publication, &golden);
}
