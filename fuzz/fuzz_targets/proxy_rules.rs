//! Whatever the environment says of proxies is read without a panic, and holds for whatever host.
#![no_main]
use libfuzzer_sys::fuzz_target;
use sockeye::client::proxy::{Proxy, ProxyRules, Security};

fuzz_target!(|data: (&str, &str, &str)| {
    let (proxy, exceptions, host) = data;
    if let Ok(proxy) = proxy.parse::<Proxy>() {
        assert_eq!(proxy.to_string().parse::<Proxy>().map(|again| again.to_string()), Ok(proxy.to_string()));
    }
    let all = ProxyRules::all("proxy.example".parse().unwrap());
    let Ok(rules) = all.except(exceptions) else { return };
    let is_proxied = rules.proxy_for(Security::Tls, host, 443).is_some();
    assert_eq!(rules.except("*").unwrap().proxy_for(Security::Tls, host, 443), None);
    assert!(is_proxied || !exceptions.is_empty());
});
