//! sockudo-ws, by its public `deflate` module, which is what its connections use.

use super::{Deflate, MAX, Setting};
use sockudo_ws::deflate::{DeflateConfig, DeflateContext};

struct End(DeflateContext);

pub(crate) fn open(setting: Setting) -> Option<Box<dyn Deflate>> {
    let config = DeflateConfig {
        server_no_context_takeover: !setting.has_context,
        client_no_context_takeover: !setting.has_context,
        compression_level: u32::from(setting.level),
        compression_threshold: 0,
        ..DeflateConfig::default()
    };
    Some(Box::new(End(DeflateContext::server(config))))
}

impl Deflate for End {
    fn compress(&mut self, message: &[u8], output: &mut Vec<u8>) {
        // Where it finds that nothing is won, it sends the message as it is.
        match self.0.compress(message).expect("it compresses") {
            Some(compressed) => output.extend_from_slice(&compressed),
            None => output.extend_from_slice(message),
        }
    }

    fn inflate(&mut self, payload: &[u8], check: &mut dyn FnMut(&[u8])) -> bool {
        check(&self.0.decompress(payload, MAX).expect("it inflates"));
        true
    }
}
