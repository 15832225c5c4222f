//! Four senders, a reader, pings and a close at a random moment, over TCP: run with `--ignored`.
use sockeye::blocking::{Error, WebSocket};
use sockeye::{Close, Config, MessageRef};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
fn rng(s: &mut u64) -> u64 {
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    *s
}
#[test]
#[ignore = "takes a minute"]
fn stress() {
    let end = Instant::now() + Duration::from_secs(40);
    let (done, finished) = std::sync::mpsc::channel();
    let _ = thread::spawn(move || {
        let (mut rounds, mut messages, mut seed) = (0u64, 0u64, 0x1234_5678_9abc_def1);
        while Instant::now() < end {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let b = listener.accept().unwrap().0;
            let mut config = Config::default();
            config.fragment_size = 16 << (rng(&mut seed) % 14);
            config.close_timeout = Some(Duration::from_secs(5));
            let sockets =
                [WebSocket::client(a, config.clone()).split().unwrap(), WebSocket::server(b, config).split().unwrap()];
            let threads: Vec<_> = sockets
                .into_iter()
                .enumerate()
                .map(|(side, (mut receiver, sender))| {
                    let mut senders = Vec::new();
                    for k in 0..4u8 {
                        let sender = sender.clone();
                        let mut seed = rng(&mut seed);
                        senders.push(thread::spawn(move || {
                            for n in 0u32.. {
                                let len = match rng(&mut seed) % 8 {
                                    0 => 300_000,
                                    1 => 70_000,
                                    _ => rng(&mut seed) % 500,
                                } as usize;
                                let mut body = vec![k; 9 + len];
                                body[1..5].copy_from_slice(&n.to_be_bytes());
                                body[5..9].copy_from_slice(&(len as u32).to_be_bytes());
                                let r = match rng(&mut seed) % 200 {
                                    0 if n > 30 && side == 0 || n > 400 => sender.close(Close::normal()),
                                    1..20 => sender.ping(),
                                    _ => Ok(()),
                                };
                                let r = r.and_then(|()| {
                                    if rng(&mut seed) % 4 == 0 {
                                        sender.feed(&body[..])
                                    } else {
                                        sender.send(&body[..])
                                    }
                                });
                                if let Err(e) = r {
                                    assert!(matches!(e, Error::Send(_)), "{e:?}");
                                    break;
                                }
                            }
                        }));
                    }
                    let reader = thread::spawn(move || {
                        let (mut next, mut count) = ([0u32; 4], 0u64);
                        loop {
                            match receiver.receive_ref() {
                                Ok(Some(MessageRef::Binary(m))) => {
                                    let k = m[0] as usize;
                                    assert_eq!(u32::from_be_bytes(m[1..5].try_into().unwrap()), next[k]);
                                    next[k] += 1;
                                    assert_eq!(u32::from_be_bytes(m[5..9].try_into().unwrap()) as usize, m.len() - 9);
                                    assert!(m[9..].iter().all(|&x| x == m[0]));
                                    count += 1;
                                }
                                Ok(None) => return (count, true),
                                Ok(Some(_)) => panic!("text"),
                                Err(e) => {
                                    eprintln!("side {side}: {e:?}");
                                    return (count, false);
                                }
                            }
                        }
                    });
                    (senders, reader)
                })
                .collect();
            for (senders, reader) in threads {
                for s in senders {
                    s.join().unwrap();
                }
                let (count, clean) = reader.join().unwrap();
                assert!(clean);
                messages += count;
            }
            rounds += 1;
        }
        done.send((rounds, messages)).unwrap();
    });
    println!("rounds, messages: {:?}", finished.recv_timeout(Duration::from_secs(75)).expect("deadlock or panic"));
}
