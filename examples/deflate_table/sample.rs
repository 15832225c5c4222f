//! Traffic to measure with, the same in every run: three feeds of JSON whose fields vary as they do in such feeds.

use std::fmt::Write;

/// Messages with a name, in the order in which a connection sends them.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) messages: Vec<String>,
}

/// What is measured where no file is given.
pub(crate) fn feeds() -> Vec<Sample> {
    let sample = |name: &str, messages| Sample { name: name.into(), messages };
    vec![sample("chat and presence", chat(1000)), sample("market data", ticks(1000)), sample("events", events(250))]
}

/// Messages of about `len` bytes, such as small ones are: a few fields, most of them numbers.
pub(crate) fn small(len: usize, count: usize) -> Vec<String> {
    let random = &mut Random(7);
    let mut message = || {
        let mut json = format!("{{\"t\":{}", random.below(9));
        while json.len() + 4 < len {
            let _ = match random.below(if json.len() + 20 < len { 5 } else { 3 }) {
                0 => write!(json, ",\"{}\":{}", random.pick(&["x", "y", "n"]), random.below(2000)),
                1 => write!(json, ",\"ok\":{}", random.below(2) == 0),
                2 => write!(json, ",\"u\":{}", 1_000 + random.below(300)),
                3 => write!(json, ",\"name\":\"{}\"", random.word()),
                _ => write!(json, ",\"at\":{}", 1_767_225_600_000 + random.below(1_000_000_000)),
            };
        }
        json + "}"
    };
    (0..count).map(|_| message()).collect()
}

/// A chat with its presence: most messages say who types, reads and comes; some say something.
fn chat(count: usize) -> Vec<String> {
    let random = &mut Random(1);
    let mut message = |sequence: usize| {
        let (user, channel, id) = (random.user(), 60_817 + random.below(12), random.snowflake(sequence));
        let data = match random.below(10) {
            0..4 => {
                let (words, mentions) = (3 + random.below(25), random.below(5) == 0);
                let content = random.sentence(words);
                let mentions = if mentions { format!("\"{}\"", random.user()) } else { String::new() };
                format!(
                    r#""t":"MESSAGE_CREATE","d":{{"id":"{id}","channel_id":"{channel}","author":{{"id":"{}","username":"{user}","avatar":"{}"}},"content":"{content}","timestamp":"{}","edited_timestamp":null,"mentions":[{mentions}],"attachments":[],"pinned":false,"type":0}}"#,
                    random.id_of(&user),
                    random.hash_of(&user, 32),
                    random.time(sequence),
                )
            }
            4..7 => format!(
                r#""t":"PRESENCE_UPDATE","d":{{"user":{{"id":"{}"}},"status":"{}","client_status":{{"{}":"{}"}},"activities":[],"since":{}}}"#,
                random.id_of(&user),
                random.pick(&["online", "idle", "dnd", "offline"]),
                random.pick(&["web", "desktop", "mobile"]),
                random.pick(&["online", "idle"]),
                random.millis(sequence),
            ),
            7..9 => format!(
                r#""t":"TYPING_START","d":{{"channel_id":"{channel}","user_id":"{}","timestamp":{}}}"#,
                random.id_of(&user),
                random.millis(sequence) / 1000,
            ),
            _ => format!(
                r#""t":"MESSAGE_REACTION_ADD","d":{{"user_id":"{}","channel_id":"{channel}","message_id":"{id}","emoji":{{"id":null,"name":"{}"}},"burst":false}}"#,
                random.id_of(&user),
                random.pick(&["👍", "🎉", "❤️", "😂", "👀"]),
            ),
        };
        format!(r#"{{"op":0,"s":{sequence},{data}}}"#)
    };
    (0..count).map(|sequence| message(sequence + 20_411)).collect()
}

/// Ticks of a market: trades, quotes and changes of the order book.
fn ticks(count: usize) -> Vec<String> {
    const SYMBOLS: [(&str, usize); 8] = [
        ("BTC-USD", 9_712_350),
        ("ETH-USD", 361_242),
        ("SOL-USD", 21_487),
        ("XRP-USD", 24_160),
        ("ADA-EUR", 8_893),
        ("DOGE-USD", 38_514),
        ("LTC-EUR", 10_871),
        ("LINK-USD", 2_213),
    ];
    let random = &mut Random(2);
    let mut walk = SYMBOLS.map(|(_, price)| price);
    let mut message = |sequence: usize| {
        let at = random.below(SYMBOLS.len()).min(random.below(SYMBOLS.len()));
        let step = walk[at] / 4000 + 2;
        walk[at] = walk[at] + random.below(step) - step / 2;
        let (symbol, price, time) = (SYMBOLS[at].0, walk[at], random.time(sequence));
        let mut number = |around: usize| {
            let value = around + random.below(around / 2000 + 3);
            format!("{}.{:02}", value / 100, value % 100)
        };
        let (bid, ask) = (number(price), number(price + step));
        let level = |random: &mut Random, price: &str| {
            let size = if random.below(4) == 0 { "0".into() } else { random.size() };
            format!(r#"["{}","{price}","{size}"]"#, random.pick(&["buy", "sell"]))
        };
        match random.below(10) {
            0..3 => format!(
                r#"{{"type":"match","trade_id":{},"sequence":{},"maker_order_id":"{}","taker_order_id":"{}","side":"{}","size":"{}","price":"{bid}","product_id":"{symbol}","time":"{time}"}}"#,
                498_211_873 + sequence,
                71_923_118_204 + 13 * sequence,
                random.uuid(),
                random.uuid(),
                random.pick(&["buy", "sell"]),
                random.size(),
            ),
            3..6 => format!(
                r#"{{"type":"ticker","sequence":{},"product_id":"{symbol}","price":"{bid}","best_bid":"{bid}","best_bid_size":"{}","best_ask":"{ask}","best_ask_size":"{}","side":"{}","time":"{time}","last_size":"{}"}}"#,
                71_923_118_204 + 13 * sequence,
                random.size(),
                random.size(),
                random.pick(&["buy", "sell"]),
                random.size(),
            ),
            _ => {
                let more = random.below(4);
                let mut changes = level(random, &bid);
                for _ in 0..more {
                    changes += ",";
                    changes += &level(random, &ask);
                }
                format!(r#"{{"type":"l2update","product_id":"{symbol}","changes":[{changes}],"time":"{time}"}}"#)
            }
        }
    };
    (0..count).map(|sequence| message(4 * sequence)).collect()
}

/// What happens to repositories, as a forge tells it: 0.3 to 4 KiB each.
fn events(count: usize) -> Vec<String> {
    let random = &mut Random(3);
    let mut message = |sequence: usize| {
        let (user, owner) = (random.user(), random.user());
        let repository = format!("{owner}/{}-{}", random.word(), random.word());
        let (id, number, time) = (random.id_of(&repository), 1 + random.below(4000), random.time(sequence));
        let url = format!("https://api.forge.example/repos/{repository}");
        let (kind, payload) = match random.below(10) {
            0..4 => {
                let (head, before, many) = (random.hex(40), random.hex(40), 1 + random.below(6));
                let mut commits = Vec::new();
                for _ in 0..many {
                    let (sha, author, words) = (random.hex(40), random.user(), 4 + random.below(30));
                    commits.push(format!(
                        r#"{{"sha":"{sha}","author":{{"email":"{author}@users.forge.example","name":"{author}"}},"message":"{}","distinct":true,"url":"{url}/commits/{sha}"}}"#,
                        random.sentence(words),
                    ));
                }
                let (commits, id) = (commits.join(","), 19_482_371_002 + 17 * sequence);
                let payload = format!(
                    r#""repository_id":{id},"push_id":{id},"size":{many},"distinct_size":{many},"ref":"refs/heads/{}","head":"{head}","before":"{before}","commits":[{commits}]"#,
                    random.pick(&["main", "main", "master", "develop", "next"]),
                );
                ("PushEvent", payload)
            }
            4..7 => {
                let (title, body) = (5 + random.below(8), 20 + random.below(280));
                let (title, body, labels) = (random.sentence(title), random.sentence(body), random.below(3));
                let labels: Vec<_> = (0..labels)
                    .map(|_| {
                        format!(
                            r#"{{"id":{},"url":"{url}/labels/{}","color":"{}","default":false}}"#,
                            random.below(90_000_000),
                            random.word(),
                            random.hex(6)
                        )
                    })
                    .collect();
                let payload = format!(
                    r#""action":"{}","issue":{{"url":"{url}/issues/{number}","labels_url":"{url}/issues/{number}/labels{{/name}}","comments_url":"{url}/issues/{number}/comments","events_url":"{url}/issues/{number}/events","html_url":"https://forge.example/{repository}/issues/{number}","id":{},"number":{number},"title":"{title}","user":{{"login":"{user}","id":{},"type":"User","site_admin":false}},"labels":[{}],"state":"{}","locked":false,"assignee":null,"milestone":null,"comments":{},"created_at":"{time}","updated_at":"{time}","closed_at":null,"body":"{body}"}}"#,
                    random.pick(&["opened", "closed", "labeled", "edited"]),
                    2_811_604_112 + 31 * sequence,
                    random.id_of(&user),
                    labels.join(","),
                    random.pick(&["open", "closed"]),
                    random.below(40),
                );
                ("IssuesEvent", payload)
            }
            7 => {
                let branch = format!("{}-{}", random.word(), random.word());
                (
                    "CreateEvent",
                    format!(
                        r#""ref":"{branch}","ref_type":"branch","master_branch":"main","description":"{}","pusher_type":"user""#,
                        random.sentence(9)
                    ),
                )
            }
            _ => ("WatchEvent", r#""action":"started""#.into()),
        };
        format!(
            r#"{{"id":"{}","type":"{kind}","actor":{{"id":{},"login":"{user}","display_login":"{user}","gravatar_id":"","url":"https://api.forge.example/users/{user}","avatar_url":"https://avatars.forge.example/u/{}?"}},"repo":{{"id":{id},"name":"{repository}","url":"{url}"}},"payload":{{{payload}}},"public":true,"created_at":"{time}"}}"#,
            38_112_904_771 + 7 * sequence,
            random.id_of(&user),
            random.id_of(&user),
        )
    };
    (0..count).map(|sequence| message(3 * sequence)).collect()
}

/// Numbers that look random and are the same in every run (xorshift*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    /// A word; the first ones come more often, as in a language.
    fn word(&mut self) -> &'static str {
        let words: Vec<_> = WORDS.split_whitespace().collect();
        let end = 1 + self.below(words.len());
        words[self.below(end)]
    }

    fn sentence(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// One of some three hundred.
    fn user(&mut self) -> String {
        let end = 1 + self.below(300);
        let mut named = Random(self.below(end) as u64 + 1);
        named.next();
        format!("{}{}{}", named.word(), named.word(), named.below(100))
    }

    /// The id that belongs to a name.
    fn id_of(&self, name: &str) -> u64 {
        Self::of(name).next() % 900_000_000 + 100_000_000
    }

    fn hash_of(&self, name: &str, digits: usize) -> String {
        Self::of(name).hex(digits)
    }

    fn of(name: &str) -> Self {
        Self(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }

    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|digits| self.hex(digits)).join("-")
    }

    /// An id that says when it was made.
    fn snowflake(&mut self, sequence: usize) -> u64 {
        ((self.millis(sequence) - 1_420_070_400_000) << 22) | (self.next() % (1 << 22))
    }

    /// An amount with eight places, most of them small and many of them round.
    fn size(&mut self) -> String {
        let places = [1, 10, 100, 1000, 10_000][self.below(5)];
        format!("{}.{:08}", self.below(3) * self.below(20), self.below(100_000_000) / places * places)
    }

    fn millis(&mut self, sequence: usize) -> u64 {
        1_767_225_600_000 + 40 * sequence as u64 + self.next() % 40
    }

    fn time(&mut self, sequence: usize) -> String {
        let (millis, micros) = (self.millis(sequence) - 1_767_225_600_000, self.below(1000));
        let (seconds, millis) = (millis / 1000, millis % 1000);
        format!("2026-01-01T{:02}:{:02}:{:02}.{millis:03}{micros:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// The first ones come most often.
const WORDS: &str = "
    the to a and of is in it that for you on with this be not have are as we can but or at from if will when so
    there use add fix what all one should test by my up do how like get now just more out new error file no would time
    update work remove some see any way need support see code value change does make about then default other first
    issue only set after build type run version server data list here think good return call message please also same
    user image could where back still into name case read before thanks client string option config module release than
    line even because open again missing branch connection handle page much failed check merge table request really
    going under each start state token window review docs right maybe move without thread memory people tried between
    header break number large wrong today seems stream object point rename lock switch length since small local warning
    deploy signal bridge salmon river copper violet harbour lantern orchard quartz meadow falcon ember willow tundra
    naïve façade größer señor";
