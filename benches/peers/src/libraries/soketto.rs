//! soketto, by its extension. It makes a compressor for each message, always at the fastest level, and has no context.

use super::{Deflate, Setting};
use soketto::base::{Header, OpCode};
use soketto::extension::deflate::Deflate as Soketto;
use soketto::extension::{Extension, Param};
use soketto::{Mode, Storage};

struct End(Soketto);

pub(crate) fn open(setting: Setting) -> Option<Box<dyn Deflate>> {
    if setting.level != 1 || setting.has_context {
        return None;
    }
    let mut deflate = Soketto::new(Mode::Server);
    let offered = [Param::new("server_no_context_takeover"), Param::new("client_no_context_takeover")];
    deflate.configure(&offered).ok()?;
    Some(Box::new(End(deflate)))
}

impl Deflate for End {
    fn compress(&mut self, message: &[u8], output: &mut Vec<u8>) {
        let mut storage = Storage::Shared(message);
        self.0.encode(&mut Header::new(OpCode::Binary), &mut storage).expect("it compresses");
        output.extend_from_slice(storage.as_ref());
    }

    fn inflate(&mut self, payload: &[u8], check: &mut dyn FnMut(&[u8])) -> bool {
        let (mut header, mut data) = (Header::new(OpCode::Binary), payload.to_vec());
        header.set_rsv1(true);
        // With the flate2 of today it takes only streams that end with a final block, which hardly anybody sends.
        let is_fine = self.0.decode(&mut header, &mut data).is_ok();
        if is_fine {
            check(&data);
        }
        is_fine
    }
}
