//! Whatever stands in `Sec-WebSocket-Extensions`: no panic; an answer is always to an offer that permits it, and a client
//! confirms every answer to what it offered and understands it as the server does. The first bytes are what the two have
//! set.
#![no_main]

use sockeye::Role;
use sockeye::deflate::Agreement;
use sockeye::handshake::{Extension, ExtensionRef, Extensions};
use sockeye_fuzz::deflate::{SETTINGS, settings};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&client, input)) = input.split_first_chunk::<SETTINGS>() else { return };
    let Some((&server, text)) = input.split_first_chunk::<SETTINGS>() else { return };
    let (client, server) = (settings(client), settings(server));
    let Ok(text) = str::from_utf8(text) else { return };

    for answer in Extensions::parse(text).filter_map(Result::ok) {
        let agreed = client.agreed(Role::Client, &answer);
        assert_eq!(agreed.is_ok(), server.agreed(Role::Server, &answer).is_ok());
        assert!(client.confirm(&answer).is_err() || agreed.is_ok());
    }
    if let Some((_, answer)) = server.answer(Extensions::parse(text)) {
        assert!(Extensions::parse(text).flatten().any(|offer| permits(&offer, &answer.view())), "{answer}");
        assert!(client.agreed(Role::Client, &answer.view()).is_ok());
    }

    let offers: Vec<_> = client.offers().iter().map(Extension::to_string).collect();
    let offers = offers.join(", ");
    let (agreement, answer) = server.answer(Extensions::parse(&offers)).expect("it can be told all that is demanded");
    let confirmed = client.confirm(&answer.view()).expect("it answers what was offered");
    assert_eq!(parameters(&agreement), parameters(&confirmed), "{offers}: {answer}");
});

/// Whether a server may answer so (RFC 7692 §7.1).
fn permits(offer: &ExtensionRef<'_>, answer: &ExtensionRef<'_>) -> bool {
    let find = |extension: &ExtensionRef<'_>, wanted| -> Option<u8> {
        let found = extension.parameters().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.map_or(15, |value| value.parse().unwrap_or(0)))
    };
    let windows = |name| (find(offer, name), find(answer, name));
    offer.name() == answer.name()
        && offer.parameters().all(|(name, _)| find(answer, name).is_some() || name == "client_max_window_bits")
        && !matches!(windows("server_max_window_bits"), (Some(offered), answered) if answered.is_none_or(|bits| bits > offered))
        && match windows("client_max_window_bits") {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(offered), Some(answered)) => answered <= offered,
        }
}

/// All that both ends have to agree on.
fn parameters(agreement: &Agreement) -> impl PartialEq + std::fmt::Debug + use<> {
    let contexts = [agreement.server_context(), agreement.client_context()];
    (contexts, [agreement.server_max_window_bits(), agreement.client_max_window_bits()])
}
