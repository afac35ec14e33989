//! Which words are hosts, although nothing says so.
//!
//! The rule for a bare `host.tld`: with one of a few well-known ends it always is one. With a path, a port or a query it
//! is one if it ends in a country or a general domain that people use. Ends that files have, too (`.md`, `.rs`, `.zip`), need a
//! query: `main.rs:12` is a line, `notes.md/` a folder in a listing, and no file has a query. Any other word with a dot is a file,
//! a sentence or a version.

use std::net::Ipv4Addr;

/// Ends that are hosts by themselves, without a path.
const ALONE: &str =
    "com org net io dev app co info biz xyz site online example test ru cn de uk me ai link club";

/// Countries.
const COUNTRIES: &str = "ac ad ae af ag al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca \
    cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg \
    gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw \
    ky kz la lb lc li lk lr ls lt lu lv ly ma mc me mg mh mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu \
    nz om pa pe pg ph pk pm pn pr pt pw py qa re ro rs ru rw sa sb sc sd se sg si sk sl sm sn sr ss st su sv sx sy sz tc td tg th tj tl \
    tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw";

/// General domains, as far as they are much used, or much misused.
const GENERAL: &str = "academy ads aero agency ai app art asia audio auction autos band bank bar beauty best bet bid bike bio biz \
    black blog blue boats bond bot boutique box builders business buzz bz cafe cam camera camp capital cards care careers cash \
    casino cat center ceo cfd chat cheap church city claims click clinic cloud club codes coffee college com community company \
    computer consulting cool coop country coupons credit creditcard cyou dad dance date dating day deals delivery dental design \
    dev digital direct directory discount doctor dog domains download earth edu education email energy engineer engineering \
    enterprises equipment estate events example exchange expert express fail faith family fans farm fashion finance financial \
    fish fit fitness flights foo football forsale forum foundation fun fund fyi gallery game games garden gay gift gifts gives \
    global gmbh gold golf google gov gratis green group guide guru hair haus health help hiphop holdings holiday homes hospital \
    host hosting hot house how icu immo inc industries info ing ink institute insure int international investments ist jetzt \
    jobs kaufen kim kitchen land law lawyer lease legal lgbt life lighting limited limo link live llc loan loans lol london love \
    ltd luxury mail management market marketing markets mba media meet meme men menu mil mobi moda moe mom money monster mortgage \
    museum music name net network news nexus ngo ninja now nyc one ong online ooo org page paris partners parts party pet phd \
    photo photography photos pics pictures pink pizza place plus poker press pro productions promo properties property protection \
    pub quest racing realty recipes red rehab rent rentals repair report rest restaurant reviews rip rocks rodeo run sale salon \
    sbs school science security select services sex sexy shoes shop shopping show singles site ski soccer social software solar \
    solutions soy space sport srl storage store stream studio style sucks supplies supply support surf surgery systems tattoo tax \
    taxi team tech technology tel tennis test theater tickets tips tires today tools top tours town toys trade trading training \
    travel tube university uno vacations vegas ventures vet viajes video villas vin vip vision vodka vote voting voyage watch \
    webcam website wedding whoswho wiki win wine work works world wtf xxx xyz yachts yoga zone \
    рф рус укр бел срб бг қаз 中国 中國 公司 网络 網絡 在线 中文网 香港 台湾 台灣 한국 みんな ไทย भारत";

/// Ends that are files at least as often.
const FILES: &str = "md rs py sh pl ps so ml mk cs hs kt tf vb db pm am in im cc st zip mov bat doc csv xml app foo run \
    parts storage menu report video audio photo download box data map name";

/// Whether a host begins here, where the text around it says that one does.
pub(super) fn is_host(text: &str) -> bool {
    let (host, _) = cut(text);
    let end = host.rsplit('.').next().unwrap_or_default();
    let named = fits(host) && end.chars().count() >= 2 && end.chars().any(char::is_alphabetic);
    // A number is a host in many writings.
    let number = host.len() >= 8 && host.bytes().all(|b| b.is_ascii_digit());
    named || number || host.parse::<Ipv4Addr>().is_ok()
}

/// Whether a bare word is a link to whoever shows it.
pub(super) fn is_link(word: &str) -> bool {
    let (host, rest) = cut(word);
    if host.parse::<Ipv4Addr>().is_ok() {
        return is_port(rest) || (rest.starts_with('/') && !is_mask(rest));
    }
    let end = host.rsplit('.').next().unwrap_or_default();
    if !fits(host) {
        return false;
    }
    if has(ALONE, end) {
        return true;
    }
    let queried = is_port(rest) || rest.contains('?');
    let leads = queried || rest.starts_with(['/', '\\', '#']);
    let known = has(COUNTRIES, end) || has(GENERAL, end) || is_encoded(end);
    (leads && known && !has(FILES, end)) || (rest.contains('?') && has(FILES, end))
}

/// Second levels under which countries give out names: `acme.co.uk`.
const SECOND: &str = "ac co com edu gob gov ne net or org";
/// A label of a host that is as long carries something.
const LABEL_MIN: usize = 20;

/// Whether a value that begins with a host has something behind it, with which it goes there. Names of files that end as
/// hosts do lead there with a path or a query behind them, since nothing stands below a file.
pub(super) fn goes_beyond(word: &str) -> bool {
    let (host, rest) = cut(word);
    if host.parse::<Ipv4Addr>().is_ok() {
        return is_port(rest)
            || (rest.len() > 1 && rest.starts_with(['/', '\\', '?', '#']) && !is_mask(rest));
    }
    if !fits(host) || !ends_in_letters(host) {
        return false;
    }
    let query = rest.split_once('?').is_some_and(|(_, query)| !query.is_empty());
    let path = rest.len() > 1 && rest.starts_with(['/', '\\', '#']);
    query || (path && (ends_known(host) || is_file(host))) || (is_port(rest) && ends_known(host))
}

/// Whether a host by itself has labels that carry something, besides those that somebody has to own.
pub(super) fn carries(word: &str) -> bool {
    let (host, rest) = cut(word);
    if !fits(host) || !matches!(rest, "" | "/") || !ends_known(host) {
        return false;
    }
    let labels: Vec<&str> = host.split('.').collect();
    let [spare @ .., second, end] = labels.as_slice() else { return false };
    let spare = match spare {
        [spare @ .., _] if has(SECOND, second) && end.len() == 2 => spare,
        spare => spare,
    };
    match spare {
        [] => false,
        // `com.acme.app` is the name of a program, and `www` carries nothing.
        [one] if one.eq_ignore_ascii_case("www") || has(ALONE, one) => false,
        spare => has(ALONE, end) || spare.iter().any(|label| label.len() >= LABEL_MIN),
    }
}

/// Whether a word is a host or a number of one, and nothing else: for an argument that is called a place.
pub(super) fn is_place(word: &str) -> bool {
    let (host, rest) = cut(word);
    let alone = matches!(rest, "" | "/") || is_port(rest);
    alone && ((fits(host) && ends_known(host)) || is_number(host))
}

/// Whether it is the number of a host, as it is usually written.
pub(super) fn is_number(text: &str) -> bool {
    text.split(':').next().is_some_and(|host| host.parse::<Ipv4Addr>().is_ok())
}

/// Whether a host ends as hosts do, and files do not.
pub(super) fn ends_known(host: &str) -> bool {
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
    let end = host.rsplit('.').next().unwrap_or_default();
    let known = has(ALONE, end) || has(COUNTRIES, end) || has(GENERAL, end) || is_encoded(end);
    fits(host) && known && (has(ALONE, end) || !has(FILES, end))
}

fn is_file(host: &str) -> bool {
    let end = host.rsplit('.').next().unwrap_or_default();
    has(FILES, end) && (has(COUNTRIES, end) || has(GENERAL, end) || has("mov zip", end))
}

fn ends_in_letters(host: &str) -> bool {
    let end = host.rsplit('.').next().unwrap_or_default();
    is_encoded(end) || (end.chars().count() >= 2 && end.chars().all(char::is_alphabetic))
}

/// A host, and what follows it.
fn cut(text: &str) -> (&str, &str) {
    let at = text.find(['/', '\\', ':', '?', '#']).unwrap_or(text.len());
    let (host, rest) = text.split_at(at);
    (host.trim_end_matches('.'), rest)
}

/// Labels with a dot between them.
pub(super) fn fits(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    host.contains('.') && host.split('.').all(label)
}

fn has(list: &str, end: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(end))
}

/// The end of a host in other letters than Latin ones, as it is looked up.
fn is_encoded(end: &str) -> bool {
    end.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("xn--"))
}

fn is_port(rest: &str) -> bool {
    rest.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()))
}

/// `/24` behind the number of a network.
fn is_mask(rest: &str) -> bool {
    rest.get(1..)
        .is_some_and(|mask| (1..=2).contains(&mask.len()) && mask.bytes().all(|b| b.is_ascii_digit()))
}
