use super::*;

const ATTACKS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onload='alert(1)",
    "</style></svg></title><script>",
    "a\u{202e}gnp.exe\u{2066}\u{0}\u{7}",
    "&lt;b&gt; &amp; <!-- -->",
];

fn attacked(text: &str) -> Report {
    let t = || text.to_owned();
    let card = |chart| Card {
        title: t(),
        badge: t(),
        mood: Mood::Bad,
        facts: vec![(t(), t())],
        says: vec![t()],
        chart: Some(chart),
    };
    Report {
        title: t(),
        verdict: t(),
        mood: Mood::Bad,
        facts: vec![(t(), t())],
        command: t(),
        made: t(),
        sections: vec![Section {
            title: t(),
            says: vec![t()],
            table: Some(Table {
                caption: t(),
                head: vec![t()],
                rows: vec![vec![t().into(), Cell::new(t(), Mood::Warn)]],
            }),
            cards: vec![
                card(Chart::Bars { bars: vec![(t(), [0.5, 0.25])] }),
                card(Chart::Bins { edges: vec![0.0, 1.0, 2.0], shares: [vec![0.5, 0.5], vec![1.0, 0.0]] }),
                card(Chart::Intervals { rows: vec![(t(), 0.5, Some([0.25, 0.75]))] }),
            ],
        }],
    }
}

/// Names of the tags that a browser would see, in their order.
fn tags(page: &str) -> Vec<String> {
    let names = page.split('<').skip(1);
    names.map(|rest| rest.chars().take_while(|c| !c.is_whitespace() && *c != '>').collect()).collect()
}

#[test]
fn no_text_becomes_markup() {
    let plain = tags(&attacked("harmless").html());
    for attack in ATTACKS {
        let page = attacked(attack).html();
        assert_eq!(tags(&page), plain, "{attack:?}");
        let quotes = |page: &str| page.matches('"').count();
        assert_eq!(quotes(&page), quotes(&attacked("harmless").html()), "{attack:?}");
        for c in ['\u{202e}', '\u{2066}', '\u{0}', '\u{7}'] {
            assert!(!page.contains(c), "{c:?}");
        }
    }
}

#[test]
fn the_page_asks_nobody_and_runs_nothing() {
    let page = attacked("a").html();
    assert!(page.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'"));
    for word in ["<script", "src=", "href=", "url(", "@import", "http:", "https:", " on"] {
        let (head, body) = page.split_once("<body>").unwrap();
        let of = if word == " on" { body } else { page.as_str() };
        assert!(!of.contains(word), "{word:?} in {head}");
    }
}

#[test]
fn every_chart_has_its_numbers_behind_it_and_draws_what_it_is_given() {
    let page = attacked("age").html();
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("<summary>Numbers</summary>").count(), 3);
    assert_eq!(page.matches("role=\"img\"").count(), 3);
    assert!(page.contains("<th scope=\"row\"><bdi>up to 1</bdi></th><td>50.0 %</td><td>100.0 %</td>"), "{page}");
    assert!(page.contains("<td>0.5000</td><td>0.2500 to 0.7500</td>"), "{page}");
}

#[test]
fn what_has_no_numbers_is_drawn_without_them() {
    for chart in [
        Chart::Bins { edges: vec![], shares: [vec![], vec![]] },
        Chart::Bins { edges: vec![1.0, 1.0], shares: [vec![], vec![f64::NAN]] },
        Chart::Bars { bars: vec![("a".into(), [0.0, 0.0]), ("b".into(), [f64::NAN, f64::INFINITY])] },
        Chart::Bars { bars: vec![] },
        Chart::Intervals { rows: vec![("a".into(), f64::NAN, Some([f64::NAN, f64::INFINITY]))] },
        Chart::Intervals { rows: vec![("a".into(), 1.0, None)] },
    ] {
        let drawn = chart.html("x");
        let svg = drawn.split("<details>").next().unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{chart:?}: {svg}");
    }
    let empty = Table { caption: "c".into(), head: vec!["a".into(), "b".into()], rows: vec![] };
    let section = Section { table: Some(empty), ..Section::default() };
    assert!(Report { sections: vec![section], ..Report::default() }.html().contains("colspan=\"2\">nothing<"));
}

#[test]
fn endless_texts_are_cut() {
    let page = attacked(&"x".repeat(1_000_000)).html();
    assert!(page.len() < 40_000, "{}", page.len());
}

#[test]
fn numbers_are_as_people_read_them() {
    let shown = [0.0, 12.0, 0.123_456, 1234.567, 1e-7, 1e9 + 0.5, f64::NAN, -3.25].map(number);
    assert_eq!(shown, ["0", "12", "0.1235", "1235", "1.00e-7", "1.00e9", "–", "-3.250"]);
    assert_eq!([0.0, 0.000_4, 0.5].map(percent), ["0.0 %", "< 0.1 %", "50.0 %"]);
}
