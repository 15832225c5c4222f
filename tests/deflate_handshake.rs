//! permessage-deflate in the opening handshake (RFC 7692 §5 and §7.1): what is offered, answered and agreed on.

#[allow(dead_code, reason = "each test file uses a part")]
mod handshake_support;

use std::collections::HashSet;

use handshake_support::with;
use sockeye::deflate::{Agreement, Context, Deflate, Demand, PeerLimits, WindowBits};
use sockeye::handshake::{
    BuildError, ClientConfig, ClientHandshake, ClientRequest, Extension, Extensions, Headers, InvalidDeflate,
    Rejection, Request, RequestError, Response, ResponseError, ServerConfig, ServerHandshake,
};
use sockeye::{Assembler, Config, Connection, MessageRef, Received, Role, Rsv};

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

fn bits(number: u8) -> WindowBits {
    WindowBits::new(number).unwrap()
}

/// Settings that limit nothing and ask for nothing.
fn lax() -> Deflate {
    set(|deflate| (deflate.window_bits, deflate.peer_window_bits) = (WindowBits::MAX, WindowBits::MAX))
}

/// The defaults with one change.
fn set(change: impl FnOnce(&mut Deflate)) -> Deflate {
    let mut deflate = Deflate::default();
    change(&mut deflate);
    deflate
}

/// The settings with one change more.
fn and(mut deflate: Deflate, change: impl FnOnce(&mut Deflate)) -> Deflate {
    change(&mut deflate);
    deflate
}

fn server_config(deflate: Option<Deflate>) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.deflate = deflate;
    config
}

fn client_config(deflate: Option<Deflate>) -> ClientConfig {
    let mut config = ClientConfig::default();
    config.deflate = deflate;
    config
}

/// A request with these values of the header field.
fn offering(values: &[&str]) -> Request {
    with(&values.iter().map(|value| (EXTENSIONS, *value)).collect::<Vec<_>>())
}

/// What a server with these settings answers to these header fields.
fn answered(deflate: &Deflate, offers: &[&str]) -> (Option<String>, Response) {
    let response = offering(offers).upgrade(&server_config(Some(deflate.clone()))).unwrap().respond();
    let values: Vec<_> = response.headers().get_all(EXTENSIONS).collect();
    assert!(values.len() <= 1, "§11.3.2: once");
    let answer = values.first().map(|value| String::from_utf8(value.to_vec()).unwrap());
    assert_eq!(answer.is_some(), response.deflate().is_some(), "{offers:?}");
    (answer, response)
}

fn request(deflate: Option<&Deflate>) -> ClientRequest {
    let request = ClientRequest::with_key("server.example.com", "/chat", *b"the sample nonce").unwrap();
    match deflate {
        Some(deflate) => request.deflate(deflate.clone()),
        None => request,
    }
}

/// The header fields of a valid answer to it, with these extensions.
fn answer_with(extensions: &[&str]) -> Headers {
    let mut headers = Headers::new();
    headers.append("Upgrade", "websocket").unwrap();
    headers.append("Connection", "Upgrade").unwrap();
    headers.append("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").unwrap();
    for extensions in extensions {
        headers.append(EXTENSIONS, extensions).unwrap();
    }
    headers
}

/// What a client with these settings makes of an answer.
fn confirmed(deflate: &Deflate, answer: &str) -> Result<Agreement, InvalidDeflate> {
    let response = request(Some(deflate)).verify(101, answer_with(&[answer]));
    let extension = Extensions::parse(answer).next().unwrap().unwrap();
    let confirmed = deflate.confirm(&extension);
    match response {
        Ok(response) => assert_eq!(response.deflate(), confirmed.as_ref().ok(), "{answer}"),
        Err(ResponseError::Deflate(error)) => assert_eq!(Err(error), confirmed, "{answer}"),
        Err(error) => panic!("{error}"),
    }
    confirmed
}

/// What an agreement says: context and window of the server, then those of the client.
fn told(agreement: &Agreement) -> (Context, u8, Context, u8) {
    (
        agreement.server_context(),
        agreement.server_max_window_bits().get(),
        agreement.client_context(),
        agreement.client_max_window_bits().get(),
    )
}

fn head_of(request: &ClientRequest) -> String {
    let mut output = Vec::new();
    request.write(&mut output);
    String::from_utf8(output).unwrap()
}

/// The value of the header field in a request as it is written.
fn offers_in(request: &ClientRequest) -> Option<String> {
    let head = head_of(request);
    let mut lines = head.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let line = lines.next().map(str::to_owned);
    assert_eq!(lines.next(), None);
    line
}

#[test]
fn section_7_1_every_parameter_of_an_offer_is_answered_alone_and_with_others() {
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
        // §7.1.2.1: a value that was offered is answered, if only with the same.
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
        // §7.1.2.2: the client will do so anyway; told so, we can be sure.
        ("permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            "permessage-deflate; client_max_window_bits=11; server_max_window_bits=12; client_no_context_takeover; \
             server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; \
             client_max_window_bits=11",
        ),
    ] {
        assert_eq!(answered(&lax(), &[offer]).0.as_deref(), Some(answer), "{offer}");
    }
}

#[test]
fn section_7_1_our_settings_are_in_the_answer_as_far_as_the_offer_allows() {
    let own = |bits_of| and(lax(), |deflate| deflate.window_bits = bits(bits_of));
    let peer = |bits_of| and(lax(), |deflate| deflate.peer_window_bits = bits(bits_of));
    let alone = and(lax(), |deflate| deflate.context = Context::NoTakeover);
    let peer_alone = and(lax(), |deflate| deflate.peer_context = Context::NoTakeover);
    for (deflate, offer, answer) in [
        // §7.1.2.1: it may be there though nobody asked.
        (own(12), "", "; server_max_window_bits=12"),
        (own(12), "; server_max_window_bits=15", "; server_max_window_bits=12"),
        (own(12), "; server_max_window_bits=12", "; server_max_window_bits=12"),
        (own(12), "; server_max_window_bits=9", "; server_max_window_bits=9"),
        // §7.1.2.2: not where nobody offered it.
        (peer(12), "", ""),
        (peer(12), "; server_max_window_bits=15", "; server_max_window_bits=15"),
        (peer(12), "; client_max_window_bits", "; client_max_window_bits=12"),
        (peer(12), "; client_max_window_bits=15", "; client_max_window_bits=12"),
        (peer(12), "; client_max_window_bits=8", "; client_max_window_bits=8"),
        // §7.1.1.1 and §7.1.1.2: whether or not it was offered.
        (alone.clone(), "", "; server_no_context_takeover"),
        (alone, "; server_no_context_takeover", "; server_no_context_takeover"),
        (peer_alone.clone(), "", "; client_no_context_takeover"),
        (peer_alone, "; client_no_context_takeover", "; client_no_context_takeover"),
        (Deflate::default(), "", "; server_max_window_bits=12"),
        (Deflate::default(), "; client_max_window_bits", "; server_max_window_bits=12; client_max_window_bits=12"),
    ] {
        let (offer, answer) = (format!("permessage-deflate{offer}"), format!("permessage-deflate{answer}"));
        assert_eq!(answered(&deflate, &[&offer]).0, Some(answer), "{offer} to {deflate:?}");
    }
}

#[test]
fn section_7_1_what_a_server_agrees_on_can_be_asked() {
    use Context::{NoTakeover, Takeover};
    for (offer, expected) in [
        ("permessage-deflate", (Takeover, 12, Takeover, 15)),
        ("permessage-deflate; client_max_window_bits", (Takeover, 12, Takeover, 12)),
        ("permessage-deflate; client_max_window_bits=9", (Takeover, 12, Takeover, 9)),
        ("permessage-deflate; server_max_window_bits=10; server_no_context_takeover", (NoTakeover, 10, Takeover, 15)),
        ("permessage-deflate; client_no_context_takeover", (Takeover, 12, NoTakeover, 15)),
    ] {
        let (_, response) = answered(&Deflate::default(), &[offer]);
        assert_eq!(told(response.deflate().unwrap()), expected, "{offer}");
    }
}

#[test]
fn section_9_1_quotes_and_whitespace_make_no_difference() {
    for offer in [
        "permessage-deflate;server_max_window_bits=10;client_max_window_bits",
        "permessage-deflate \t;  server_max_window_bits \t=  10\t; client_max_window_bits ",
        "permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=\"1\\0\"; client_max_window_bits",
        ", ,permessage-deflate; client_max_window_bits; server_max_window_bits=10,,",
    ] {
        let answer = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12";
        assert_eq!(answered(&Deflate::default(), &[offer]).0.as_deref(), Some(answer), "{offer}");
    }
}

/// Parameters that no offer and no answer may have (§7.1), each with what a client says of them.
const WRONG: [(&str, InvalidDeflate); 31] = [
    ("server_max_window_bits", InvalidDeflate::Value),
    ("server_max_window_bits=7", InvalidDeflate::Value),
    ("server_max_window_bits=16", InvalidDeflate::Value),
    ("server_max_window_bits=08", InvalidDeflate::Value),
    ("server_max_window_bits=010", InvalidDeflate::Value),
    ("server_max_window_bits=0", InvalidDeflate::Value),
    ("server_max_window_bits=abc", InvalidDeflate::Value),
    ("server_max_window_bits=+9", InvalidDeflate::Value),
    ("server_max_window_bits=-9", InvalidDeflate::Value),
    ("server_max_window_bits=8.", InvalidDeflate::Value),
    ("server_max_window_bits=1e1", InvalidDeflate::Value),
    ("server_max_window_bits=0xa", InvalidDeflate::Value),
    // 8 and 10 beyond the ends of numbers.
    ("server_max_window_bits=264", InvalidDeflate::Value),
    ("server_max_window_bits=65546", InvalidDeflate::Value),
    ("server_max_window_bits=18446744073709551626", InvalidDeflate::Value),
    ("server_max_window_bits=340282366920938463463374607431768211466", InvalidDeflate::Value),
    ("client_max_window_bits=7", InvalidDeflate::Value),
    ("client_max_window_bits=16", InvalidDeflate::Value),
    ("client_max_window_bits=09", InvalidDeflate::Value),
    ("client_max_window_bits=\"8.\"", InvalidDeflate::Value),
    ("client_max_window_bits=264", InvalidDeflate::Value),
    ("server_no_context_takeover=1", InvalidDeflate::Value),
    ("server_no_context_takeover=true", InvalidDeflate::Value),
    ("client_no_context_takeover=\"0\"", InvalidDeflate::Value),
    ("server_no_context_takeover; server_no_context_takeover", InvalidDeflate::DuplicateParameter),
    (
        "client_no_context_takeover; server_no_context_takeover; client_no_context_takeover",
        InvalidDeflate::DuplicateParameter,
    ),
    ("server_max_window_bits=10; server_max_window_bits=10", InvalidDeflate::DuplicateParameter),
    ("client_max_window_bits=10; client_max_window_bits=11", InvalidDeflate::DuplicateParameter),
    ("x", InvalidDeflate::UnknownParameter),
    ("server_no_context_takeover; x=1", InvalidDeflate::UnknownParameter),
    ("Server_No_Context_Takeover", InvalidDeflate::UnknownParameter),
];

#[test]
fn section_7_1_3_an_offer_with_a_wrong_parameter_is_passed_over_for_the_next() {
    let more = [
        ("client_max_window_bits; client_max_window_bits", InvalidDeflate::DuplicateParameter),
        ("client_max_window_bits=9; client_max_window_bits", InvalidDeflate::DuplicateParameter),
    ];
    for deflate in [Deflate::default(), lax()] {
        for (parameters, _) in WRONG.iter().chain(&more) {
            let offer = format!("permessage-deflate; {parameters}");
            assert_eq!(answered(&deflate, &[&offer]).0, None, "{offer}");
            let good = "permessage-deflate; server_max_window_bits=9";
            let expected = Some(good);
            assert_eq!(answered(&deflate, &[&format!("{offer}, {good}")]).0.as_deref(), expected, "{offer}");
            assert_eq!(answered(&deflate, &[&offer, good]).0.as_deref(), expected, "{offer}");
            assert_eq!(answered(&deflate, &[&format!("x; y, {offer}"), "z", good]).0.as_deref(), expected, "{offer}");
        }
    }
}

#[test]
fn section_5_the_first_offer_that_can_be_accepted_is_answered() {
    let first = "permessage-deflate; server_max_window_bits=10";
    for offers in [
        &["permessage-deflate; server_max_window_bits=10, permessage-deflate"][..],
        &[first, "permessage-deflate; server_no_context_takeover"],
        &["x-other, y; permessage-deflate=1", "z, permessage-deflate; server_max_window_bits=10 , permessage-deflate"],
        &["Permessage-Deflate, permessage-deflate-2, x-webkit-deflate-frame", first],
    ] {
        assert_eq!(answered(&lax(), offers).0.as_deref(), Some(first), "{offers:?}");
    }
    for offers in [&["x-webkit-deflate-frame"][..], &["Permessage-Deflate", "permessage-deflate-2"], &[]] {
        assert_eq!(answered(&lax(), offers).0, None, "{offers:?}");
    }
}

#[test]
fn section_9_1_a_list_that_is_malformed_anywhere_is_refused_whatever_stands_before() {
    for list in [
        "",
        ", ,",
        ";",
        "permessage-deflate; ",
        "permessage-deflate;; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\" 10\"",
        "permessage-deflate; server_max_window_bits=1 0",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate, ;",
        "permessage-deflate, x y",
        "permessage-deflate; =10",
    ] {
        for demand in [Demand::Optional, Demand::Required] {
            let config = server_config(Some(set(|deflate| deflate.demand = demand)));
            let rejection = offering(&[list]).upgrade(&config).unwrap_err();
            let malformed = RequestError::Malformed { header: EXTENSIONS };
            assert_eq!((rejection.status(), rejection.cause()), (400, Some(&malformed)), "{list}");
        }
        let headers = answer_with(&[list]);
        let error = request(Some(&Deflate::default())).verify(101, headers).unwrap_err();
        assert_eq!(error, ResponseError::Malformed { header: EXTENSIONS }, "{list}");
    }
}

#[test]
fn limits_that_are_demanded_pass_over_offers_that_do_not_let_us_set_them() {
    let demanding = set(|deflate| deflate.peer_limits = PeerLimits::Demanded);
    for offer in ["permessage-deflate", "permessage-deflate; server_max_window_bits=10; server_no_context_takeover"] {
        assert_eq!(answered(&demanding, &[offer]).0, None, "{offer}");
        assert!(answered(&Deflate::default(), &[offer]).0.is_some(), "{offer}");
    }
    let accepted = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=9";
    let fallback = "permessage-deflate, permessage-deflate; client_max_window_bits=9";
    assert_eq!(answered(&demanding, &[fallback]).0.as_deref(), Some(accepted));
    // Nothing need be said about a window that may have any size, and the context can always be refused.
    let context = and(lax(), |deflate| {
        (deflate.peer_limits, deflate.peer_context) = (PeerLimits::Demanded, Context::NoTakeover);
    });
    let (answer, _) = answered(&context, &["permessage-deflate"]);
    assert_eq!(answer.as_deref(), Some("permessage-deflate; client_no_context_takeover"));
}

#[test]
fn a_client_offers_what_it_wants_and_then_what_it_can_do_with() {
    let context = |deflate: &mut Deflate| deflate.peer_context = Context::NoTakeover;
    for (deflate, offers) in [
        (lax(), &["client_max_window_bits"][..]),
        (Deflate::default(), &["server_max_window_bits=12; client_max_window_bits=12", "client_max_window_bits=12"]),
        (
            set(|deflate| deflate.peer_limits = PeerLimits::Demanded),
            &["server_max_window_bits=12; client_max_window_bits=12"],
        ),
        (and(lax(), context), &["server_no_context_takeover; client_max_window_bits", "client_max_window_bits"]),
        (
            and(lax(), |deflate| deflate.context = Context::NoTakeover),
            &["client_no_context_takeover; client_max_window_bits"],
        ),
        (and(lax(), |deflate| deflate.window_bits = bits(8)), &["client_max_window_bits=8"]),
        (
            and(set(context), |deflate| {
                (deflate.context, deflate.peer_window_bits) = (Context::NoTakeover, bits(8));
            }),
            &[
                "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; client_max_window_bits=12",
                "client_no_context_takeover; client_max_window_bits=12",
            ],
        ),
    ] {
        let offers: Vec<_> = offers.iter().map(|offer| format!("permessage-deflate; {offer}")).collect();
        let made = deflate.offers();
        assert_eq!(made.iter().map(Extension::as_str).collect::<Vec<_>>(), offers);
        assert_eq!(offers_in(&request(Some(&deflate))), Some(offers.join(", ")));
    }
}

#[test]
fn section_7_1_a_client_takes_every_answer_that_keeps_to_its_offers() {
    use Context::{NoTakeover, Takeover};
    let alone = and(lax(), |deflate| deflate.context = NoTakeover);
    let demanding = set(|deflate| {
        (deflate.peer_limits, deflate.peer_context) = (PeerLimits::Demanded, NoTakeover);
    });
    for (deflate, answer, expected) in [
        (lax(), "permessage-deflate", (Takeover, 15, Takeover, 15)),
        (lax(), "permessage-deflate; client_max_window_bits=15", (Takeover, 15, Takeover, 15)),
        (lax(), "permessage-deflate; client_max_window_bits=\"8\"", (Takeover, 15, Takeover, 8)),
        // §7.1.2.1, §7.1.1: these may be there though they were not in the offer.
        (lax(), "permessage-deflate; server_max_window_bits=9", (Takeover, 9, Takeover, 15)),
        (lax(), "permessage-deflate; server_no_context_takeover", (NoTakeover, 15, Takeover, 15)),
        (lax(), "permessage-deflate; client_no_context_takeover", (Takeover, 15, NoTakeover, 15)),
        // To the first of our offers, to the second, and with less than was offered.
        (
            Deflate::default(),
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            (Takeover, 12, Takeover, 12),
        ),
        (Deflate::default(), "permessage-deflate", (Takeover, 15, Takeover, 15)),
        (Deflate::default(), "permessage-deflate; server_max_window_bits=13", (Takeover, 13, Takeover, 15)),
        (
            Deflate::default(),
            "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8",
            (Takeover, 8, Takeover, 8),
        ),
        // Nobody need confirm that we do without.
        (alone, "permessage-deflate", (Takeover, 15, NoTakeover, 15)),
        (
            demanding,
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
            (NoTakeover, 12, Takeover, 15),
        ),
    ] {
        assert_eq!(confirmed(&deflate, answer).as_ref().map(told), Ok(expected), "{answer} to {deflate:?}");
    }
}

#[test]
fn section_7_1_a_client_fails_on_an_answer_with_a_wrong_parameter() {
    for deflate in [Deflate::default(), lax()] {
        for (parameters, error) in WRONG {
            let answer = format!("permessage-deflate; {parameters}");
            assert_eq!(confirmed(&deflate, &answer), Err(error), "{answer}");
        }
        // §7.1.2.2: only an offer may leave its value out.
        assert_eq!(confirmed(&deflate, "permessage-deflate; client_max_window_bits"), Err(InvalidDeflate::Value));
    }
}

#[test]
fn section_7_1_a_client_fails_on_an_answer_to_what_it_did_not_offer() {
    let demanding = |change: fn(&mut Deflate)| {
        let deflate = and(lax(), |deflate| deflate.peer_limits = PeerLimits::Demanded);
        and(deflate, change)
    };
    let window = demanding(|deflate| deflate.peer_window_bits = bits(10));
    let context = demanding(|deflate| deflate.peer_context = Context::NoTakeover);
    for (deflate, answer) in [
        (Deflate::default(), "permessage-deflate; client_max_window_bits=13"),
        (and(lax(), |deflate| deflate.window_bits = bits(8)), "permessage-deflate; client_max_window_bits=9"),
        (window.clone(), "permessage-deflate"),
        (window.clone(), "permessage-deflate; server_no_context_takeover"),
        (window, "permessage-deflate; server_max_window_bits=11"),
        (context.clone(), "permessage-deflate"),
        (context, "permessage-deflate; client_no_context_takeover; server_max_window_bits=8"),
    ] {
        assert_eq!(confirmed(&deflate, answer), Err(InvalidDeflate::NotOffered), "{answer} to {deflate:?}");
    }
}

#[test]
fn answers_about_the_extension_as_such_are_refused_as_for_any_other() {
    let check = |request: ClientRequest, fields: &[&str]| request.verify(101, answer_with(fields)).map(|_| ());
    let deflating = || request(Some(&lax()));
    let unoffered = |name: &str| Err(ResponseError::UnofferedExtension { name: name.into() });
    assert_eq!(check(request(None), &["permessage-deflate"]), unoffered("permessage-deflate"));
    assert_eq!(check(deflating(), &["Permessage-Deflate"]), unoffered("Permessage-Deflate"));
    assert_eq!(check(deflating(), &["permessage-deflate, x"]), unoffered("x"));
    let twice = Err(ResponseError::DuplicateExtension { name: "permessage-deflate".into() });
    assert_eq!(check(deflating(), &["permessage-deflate, permessage-deflate"]), twice);
    let fields = ["permessage-deflate", "permessage-deflate"];
    assert_eq!(check(deflating(), &fields), Err(ResponseError::Duplicate { header: EXTENSIONS }));
    let other = Extension::new("x").unwrap();
    assert_eq!(check(deflating().extension(&other), &["x; y=1, permessage-deflate"]), Ok(()));
    let name = Extensions::parse("x").next().unwrap().unwrap();
    assert_eq!(lax().confirm(&name), Err(InvalidDeflate::Name));
    assert_eq!(lax().agreed(Role::Server, &name), Err(InvalidDeflate::Name));
}

#[test]
fn without_settings_there_is_no_header_field_on_either_side() {
    assert_eq!(offers_in(&request(None)), None);
    let handshake = ClientHandshake::new(request(None), &client_config(None));
    assert!(!head_of(handshake.request()).contains("Sec-WebSocket-Extensions"));
    let response = offering(&["permessage-deflate; client_max_window_bits"]);
    let response = response.upgrade(&server_config(None)).unwrap().respond();
    assert!(!response.headers().contains(EXTENSIONS));
    assert_eq!(response.deflate(), None);
}

#[test]
fn a_server_that_demands_it_refuses_who_offers_nothing_acceptable() {
    let required = set(|deflate| deflate.demand = Demand::Required);
    let demanding = and(required.clone(), |deflate| deflate.peer_limits = PeerLimits::Demanded);
    for (deflate, offers) in [
        (&required, &[][..]),
        (&required, &["x"]),
        (&required, &["permessage-deflate; server_max_window_bits=7"]),
        (&demanding, &["permessage-deflate"]),
    ] {
        let rejection = offering(offers).upgrade(&server_config(Some(deflate.clone()))).unwrap_err();
        assert_eq!((rejection.status(), rejection.cause()), (400, Some(&RequestError::DeflateRequired)), "{offers:?}");
        let mut output = Vec::new();
        rejection.write(&mut output);
        assert!(output.starts_with(b"HTTP/1.1 400 "));
    }
    assert!(answered(&required, &["permessage-deflate; server_max_window_bits=7, permessage-deflate"]).0.is_some());
    // What else is wrong with the request is said first.
    let mut headers = Headers::new();
    headers.append("Host", "a.example").unwrap();
    let rejection = Request::new("GET", "/", headers).upgrade(&server_config(Some(required))).unwrap_err();
    assert_eq!(rejection.cause(), Some(&RequestError::NotAnUpgrade));
}

#[test]
fn a_client_that_demands_it_fails_where_the_server_does_without() {
    let required = set(|deflate| deflate.demand = Demand::Required);
    let optional = request(Some(&Deflate::default())).verify(101, answer_with(&[])).unwrap();
    assert_eq!(optional.deflate(), None);
    let error = request(Some(&required)).verify(101, answer_with(&[])).unwrap_err();
    assert_eq!(error, ResponseError::Deflate(InvalidDeflate::Required));
    let other = Extension::new("x").unwrap();
    let error = request(Some(&required)).extension(&other).verify(101, answer_with(&["x"])).unwrap_err();
    assert_eq!(error, ResponseError::Deflate(InvalidDeflate::Required));
    assert!(confirmed(&required, "permessage-deflate").is_ok());
    // A refusal is a refusal.
    let refused = request(Some(&required)).verify(403, Headers::new()).unwrap_err();
    assert!(matches!(refused, ResponseError::Refused(_)));
}

#[test]
fn the_application_can_decide_for_each_request_against_the_configuration() {
    let offer = ["permessage-deflate; client_max_window_bits"];
    let required = set(|deflate| deflate.demand = Demand::Required);
    let request = offering(&offer);
    for config in [None, Some(Deflate::default()), Some(required.clone())].map(server_config) {
        let acceptance = || request.upgrade(&config).unwrap();
        let without = acceptance().deflate(None).unwrap().respond();
        assert_eq!((without.deflate(), without.headers().contains(EXTENSIONS)), (None, false));
        let with = acceptance().deflate(Some(&lax())).unwrap().respond();
        assert_eq!(with.headers().get(EXTENSIONS), Some("permessage-deflate"));
        assert_eq!(with.deflate().map(|agreement| agreement.client_max_window_bits().get()), Some(15));
        // The last word counts.
        let last = acceptance().deflate(None).unwrap().deflate(Some(&lax())).unwrap().deflate(None).unwrap().respond();
        assert_eq!(last.deflate(), None);
    }
    // Where it decides, it also decides what is to become of who does not offer.
    let plain = offering(&[]);
    let refused = plain.upgrade(&server_config(None)).unwrap().deflate(Some(&required)).unwrap_err();
    assert_eq!((refused.status(), refused.cause()), (400, Some(&RequestError::DeflateRequired)));
}

#[test]
fn an_application_that_negotiates_it_itself_need_not_have_it_done_for_it() {
    let own = Extension::new("permessage-deflate").unwrap().flag("server_no_context_takeover").unwrap();
    let request = offering(&["permessage-deflate; client_max_window_bits, x"]);
    for config in [None, Some(Deflate::default())].map(server_config) {
        let response = request.upgrade(&config).unwrap().extension(&own).unwrap().respond();
        let values: Vec<_> = response.headers().get_all(EXTENSIONS).collect();
        assert_eq!(values, [b"permessage-deflate; server_no_context_takeover"]);
        assert_eq!(response.deflate(), None);
        let twice = request.upgrade(&config).unwrap().extension(&own).unwrap().extension(&own).unwrap_err();
        assert_eq!(twice, BuildError::DuplicateExtension { name: "permessage-deflate".into() });
    }
    // Beside another extension there is one header field, with both.
    let acceptance = request.upgrade(&server_config(Some(lax()))).unwrap();
    let response = acceptance.extension(&Extension::new("x").unwrap()).unwrap().respond();
    let values: Vec<_> = response.headers().get_all(EXTENSIONS).collect();
    assert_eq!(values, [b"x, permessage-deflate"]);
    assert!(response.deflate().is_some());

    // So on the other side.
    let request = ClientRequest::with_key("server.example.com", "/chat", *b"the sample nonce").unwrap().extension(&own);
    let handshake = ClientHandshake::new(request, &client_config(Some(Deflate::default())));
    let offers = offers_in(handshake.request());
    assert_eq!(offers.as_deref(), Some("permessage-deflate; server_no_context_takeover"));
    let response = handshake.request().verify(101, answer_with(&["permessage-deflate; x=1"])).unwrap();
    assert_eq!(response.deflate(), None, "that is the application's business");
}

#[test]
fn what_a_request_says_counts_and_not_what_the_configuration_of_clients_says() {
    let config = client_config(Some(Deflate::default()));
    let from_config = ClientHandshake::new(request(None), &config);
    let offers = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12, \
                  permessage-deflate; client_max_window_bits=12";
    assert_eq!(offers_in(from_config.request()).as_deref(), Some(offers));
    let from_request = ClientHandshake::new(request(Some(&lax())), &config);
    assert_eq!(offers_in(from_request.request()).as_deref(), Some("permessage-deflate; client_max_window_bits"));
    // And the answer is checked by the same.
    let answer = || answer_with(&["permessage-deflate; client_max_window_bits=15"]);
    assert!(from_request.request().verify(101, answer()).is_ok());
    let error = from_config.request().verify(101, answer()).unwrap_err();
    assert_eq!(error, ResponseError::Deflate(InvalidDeflate::NotOffered));
    // After other extensions of the request.
    let other = ClientHandshake::new(request(None).extension(&Extension::new("x").unwrap()), &config);
    assert_eq!(offers_in(other.request()), Some(format!("x, {offers}")));
}

#[test]
fn both_ends_agree_over_http_1_1_as_well() {
    let (server_settings, client_settings) = (server_config(Some(lax())), client_config(Some(Deflate::default())));
    let mut client = ClientHandshake::new(request(None), &client_settings);
    let (mut wire, mut back) = (Vec::new(), Vec::new());
    client.request().write(&mut wire);
    let mut server = ServerHandshake::new(&server_settings);
    let accepted = server.receive(&mut &wire[..]).unwrap().unwrap();
    let at_server = accepted.upgrade(&server_settings).unwrap().respond();
    at_server.write(&mut back);
    let at_client = client.receive(&mut &back[..]).unwrap().unwrap();
    let (ours, theirs) = (at_server.deflate().unwrap(), at_client.deflate().unwrap());
    assert_eq!(told(ours), (Context::Takeover, 12, Context::Takeover, 12));
    assert_eq!(told(ours), told(theirs));
    // A wrong answer fails the handshake for good.
    let mut client = ClientHandshake::new(request(None), &client_settings);
    let wrong = String::from_utf8(back).unwrap().replace("client_max_window_bits=12", "client_max_window_bits=14");
    let error = Err(ResponseError::Deflate(InvalidDeflate::NotOffered));
    assert_eq!(client.receive(&mut wrong.as_bytes()), error);
    assert_eq!(client.receive(&mut wrong.as_bytes()), error);
}

#[test]
fn what_somebody_else_agreed_on_is_taken_as_it_is() {
    use Context::{NoTakeover, Takeover};
    let agreed = |role, answer: &str| lax().agreed(role, &Extensions::parse(answer).next().unwrap().unwrap());
    let answer = "permessage-deflate; server_no_context_takeover; client_max_window_bits=9";
    for role in [Role::Server, Role::Client] {
        assert_eq!(agreed(role, answer).as_ref().map(told), Ok((NoTakeover, 15, Takeover, 9)));
        assert_eq!(agreed(role, "permessage-deflate; client_max_window_bits"), Err(InvalidDeflate::Value));
        for (parameters, error) in WRONG {
            assert_eq!(agreed(role, &format!("permessage-deflate; {parameters}")), Err(error), "{parameters}");
        }
    }
    // Our own settings make it only less: we may do without a context that we may keep.
    let alone = and(lax(), |deflate| deflate.context = NoTakeover);
    let plain = Extensions::parse("permessage-deflate").next().unwrap().unwrap();
    assert_eq!(told(&alone.agreed(Role::Server, &plain).unwrap()), (NoTakeover, 15, Takeover, 15));
    assert_eq!(told(&alone.agreed(Role::Client, &plain).unwrap()), (Takeover, 15, NoTakeover, 15));
}

/// All settings that have to do with negotiation, for windows of these sizes.
fn all_settings(windows: &[u8]) -> Vec<Deflate> {
    let contexts = [Context::Takeover, Context::NoTakeover];
    let mut all = Vec::new();
    for &own in windows {
        for &peer in windows {
            for context in contexts {
                for peer_context in contexts {
                    for peer_limits in [PeerLimits::Wished, PeerLimits::Demanded] {
                        all.push(set(|deflate| {
                            (deflate.window_bits, deflate.peer_window_bits) = (bits(own), bits(peer));
                            (deflate.context, deflate.peer_context) = (context, peer_context);
                            (deflate.peer_limits, deflate.threshold) = (peer_limits, 0);
                        }));
                    }
                }
            }
        }
    }
    all
}

/// The parameters of an extension, as numbers where they have one.
fn parameters(extension: &Extension) -> Vec<(String, Option<u8>)> {
    let number = |value: &str| value.parse().unwrap();
    extension.view().parameters().map(|(name, value)| (name.to_owned(), value.as_deref().map(number))).collect()
}

/// Checks an answer against the offer that it answers, by the rules of RFC 7692 §7.1 one by one.
fn check_rules(offer: &Extension, answer: &Extension) {
    let (offered, answered) = (parameters(offer), parameters(answer));
    let find =
        |list: &[(String, Option<u8>)], name: &str| list.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
    let [offered, answered] = [offered, answered].map(|list| move |name: &str| find(&list, name));
    if offered("server_no_context_takeover").is_some() {
        assert_eq!(answered("server_no_context_takeover"), Some(None), "§7.1.1.1: {offer} -> {answer}");
    }
    if let Some(Some(most)) = offered("server_max_window_bits") {
        let value = answered("server_max_window_bits").flatten();
        assert!(value.is_some_and(|value| (8..=most).contains(&value)), "§7.1.2.1: {offer} -> {answer}");
    }
    if let Some(value) = answered("client_max_window_bits") {
        let most = offered("client_max_window_bits").expect("§7.1.2.2: only if it was offered");
        let is_within = value.is_some_and(|value| (8..=most.unwrap_or(15)).contains(&value));
        assert!(is_within, "§7.1.2.2: {offer} -> {answer}");
    }
}

/// A connection that does what was agreed on, and its assembler.
fn end(role: Role, agreement: &Agreement) -> (Connection, Assembler) {
    let mut connection = match role {
        Role::Server => Connection::server(Config::default()),
        Role::Client => Connection::client_with_keys(Config::default(), || [7, 0, 255, 1]),
    };
    connection.extend(Rsv::RSV1, agreement.encoder());
    let mut assembler = connection.assembler();
    assembler.extend(agreement.decoder());
    (connection, assembler)
}

/// Sends messages from one end to the other that repeat at all distances, within and across messages.
fn round_trip(from: &mut Connection, to: &mut Connection, assembler: &mut Assembler, noise: &[u8]) {
    let mut messages: Vec<&[u8]> = vec![b"", b"a"];
    for period in [100, 255, 256, 257, 500, 512, 513, 4000, 4096, 4097] {
        messages.extend([&noise[..period]; 2]);
    }
    messages.push(&noise[..9000]);
    messages.push(&noise[4000..9000]);
    for message in messages {
        let (mut wire, mut output) = (Vec::new(), Vec::new());
        from.send(message, &mut wire).unwrap();
        assert_eq!(wire[0] & 0x70, 0x40, "RSV1");
        let received = to.receive_message(&mut &mut wire[..], assembler, &mut output).unwrap();
        assert_eq!(received, Some(Received::Message(MessageRef::Binary(message))));
    }
}

/// Bytes without repetition.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn whatever_is_set_at_both_ends_the_answer_keeps_to_the_offer_and_both_say_the_same_and_understand_each_other() {
    let noise = noise(9000);
    let mut tried = HashSet::new();
    let (mut agreements, mut refusals) = (0, 0);
    let all = all_settings(&[8, 9, 12, 15]);
    for ours in &all {
        for theirs in &all {
            let offers = theirs.offers();
            let list = offers.iter().map(Extension::as_str).collect::<Vec<_>>().join(", ");
            let Some((at_server, answer)) = ours.answer(Extensions::parse(&list)) else {
                // Only who insists on what he cannot have goes without, and our client always lets a server limit it.
                refusals += 1;
                continue;
            };
            check_rules(&offers[0], &answer);
            let at_client =
                theirs.confirm(&answer.view()).unwrap_or_else(|error| panic!("{list} -> {answer}: {error}"));
            assert_eq!(told(&at_server), told(&at_client), "{list} -> {answer}");
            assert!(at_client.client_max_window_bits() <= ours.peer_window_bits);
            assert!(at_client.server_max_window_bits() <= theirs.peer_window_bits.min(ours.window_bits));
            agreements += 1;
            if !tried.insert(format!("{at_server:?} {at_client:?}")) {
                continue;
            }
            // An eighth of them, for it takes time.
            if tried.len() % 8 == 1 {
                let (mut server, mut at_server) = end(Role::Server, &at_server);
                let (mut client, mut at_client) = end(Role::Client, &at_client);
                round_trip(&mut server, &mut client, &mut at_client, &noise);
                round_trip(&mut client, &mut server, &mut at_server, &noise);
            }
        }
    }
    assert_eq!((agreements, refusals), (all.len() * all.len(), 0));
    assert!(tried.len() > 100, "{}", tried.len());
}

#[test]
fn every_offer_that_there_can_be_is_answered_by_the_rules_or_for_a_reason_not_at_all() {
    // Each parameter left out, and with each value that tells.
    let flags = ["", "; server_no_context_takeover", "; client_no_context_takeover"];
    let both = "; client_no_context_takeover; server_no_context_takeover";
    let windows = ["", "=8", "=9", "=11", "=12", "=13", "=15"];
    for ours in all_settings(&[8, 12, 15]) {
        for flag in flags.into_iter().chain([both]) {
            for server in windows {
                for client in windows.into_iter().chain(["any"]) {
                    let mut offer = format!("permessage-deflate{flag}");
                    if !server.is_empty() {
                        offer.push_str(&format!("; server_max_window_bits{server}"));
                    }
                    if !client.is_empty() {
                        offer.push_str(&format!("; client_max_window_bits{}", client.trim_start_matches("any")));
                    }
                    let offer = Extensions::parse(&offer).next().unwrap().unwrap().to_extension();
                    let answer = ours.answer(Extensions::parse(offer.as_str()));
                    let is_out_of_reach = client.is_empty()
                        && ours.peer_limits == PeerLimits::Demanded
                        && ours.peer_window_bits < WindowBits::MAX;
                    assert_eq!(answer.is_none(), is_out_of_reach, "{offer} to {ours:?}");
                    let Some((agreement, answer)) = answer else { continue };
                    check_rules(&offer, &answer);
                    // What we want for ourselves we can always have.
                    assert!(agreement.server_max_window_bits() <= ours.window_bits);
                    if ours.context == Context::NoTakeover {
                        assert_eq!(agreement.server_context(), Context::NoTakeover);
                    }
                    if ours.peer_context == Context::NoTakeover {
                        assert_eq!(agreement.client_context(), Context::NoTakeover);
                    }
                    // Who reads our answer without regard to the offer comes to the same.
                    let read = lax().agreed(Role::Client, &answer.view()).unwrap();
                    assert_eq!(told(&read), told(&agreement), "{offer} -> {answer}");
                }
            }
        }
    }
}

#[test]
fn rejections_say_what_is_missing() {
    let required = server_config(Some(set(|deflate| deflate.demand = Demand::Required)));
    let rejection: Rejection = offering(&[]).upgrade(&required).unwrap_err();
    let mut output = Vec::new();
    rejection.write(&mut output);
    assert!(String::from_utf8(output).unwrap().contains("permessage-deflate"));
}
