use crate::bill::{Bill, Chosen};
use crate::prices::PriceEntry;
use crate::{Money, PriceSpec};
use std::collections::HashMap;

fn chosen() -> Chosen {
    Chosen { cost: "EffectiveCost".into(), ..Chosen::default() }
}

/// Rows as `begins, ends, cost, category, service` and more cells.
fn row<'a>(cells: [&'a str; 5], more: &[(&'a str, &'a str)]) -> HashMap<&'a str, &'a str> {
    let [begins, ends, cost, category, service] = cells;
    let mut row = HashMap::from([
        ("ChargePeriodStart", begins),
        ("ChargePeriodEnd", ends),
        ("EffectiveCost", cost),
        ("ServiceCategory", category),
        ("ServiceName", service),
        ("BillingCurrency", "USD"),
        ("ChargeCategory", "Usage"),
    ]);
    row.extend(more.iter().copied());
    row
}

fn add(bill: &mut Bill, chosen: &Chosen, row: &HashMap<&str, &str>) -> Result<(), String> {
    bill.add(chosen, |name| row.get(name).copied())
}

fn hours(entries: &[PriceEntry]) -> Vec<(String, Option<String>)> {
    let hour = |e: &PriceEntry| e.host.as_ref().map(|h| h.hour.to_string());
    entries.iter().map(|e| (e.from.to_string(), hour(e))).collect()
}

#[test]
fn a_days_charges_for_machines_are_what_their_hours_cost() {
    let mut bill = Bill::default();
    for (begins, ends, cost) in [
        ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "9.6"),
        ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "4.8"),
        // As it was the day before, which needs no entry.
        ("2026-11-02 00:00:00 UTC", "2026-11-03 00:00:00 UTC", "1.44e1"),
        // Of a bill of today the last day has the hours up to when it was written: 6 of 24.
        ("2026-11-03T00:00:00", "2026-11-03T06:00:00", "7.2"),
    ] {
        add(&mut bill, &chosen(), &row([begins, ends, cost, "Compute", "Amazon EC2"], &[])).unwrap();
    }
    let entries = bill.entries((3, 2), "bill");
    let wanted = [("2026-11-01".to_owned(), Some("0.2".to_owned())), ("2026-11-03".to_owned(), Some("0.4".to_owned()))];
    assert_eq!(hours(&entries), wanted);
    assert_eq!(entries[0].host.as_ref().map(|h| (h.cpus, h.count)), Some((2, 3)));
    let spec = PriceSpec { currency: bill.currency().unwrap().to_owned(), entries, offers: Vec::new() };
    spec.validate().unwrap();
    // And what the table says was paid is what was billed.
    let paid: Money = spec
        .within(
            "2026-11-01".parse::<crate::prices::Day>().unwrap().begins(),
            "2026-11-03".parse::<crate::prices::Day>().unwrap().begins(),
        )
        .map(|(entry, micros)| entry.host.as_ref().unwrap().paid(micros))
        .sum();
    assert_eq!(paid.to_string(), "28.8");
}

#[test]
fn a_charge_over_days_is_spread_and_nothing_is_lost() {
    let mut bill = Bill::default();
    // Three days and a half, of which the first has half.
    let cells = ["2026-11-01T12:00:00Z", "2026-11-05T00:00:00Z", "100.000000000001", "Compute", "VM"];
    add(&mut bill, &chosen(), &row(cells, &[])).unwrap();
    // What the table says was paid in a day is what was charged for it, also of a day that had charges for half of it.
    let paid: Vec<Money> =
        bill.entries((1, 1), "bill").iter().map(|e| e.host.as_ref().unwrap().hour.times(24)).collect();
    let near = |paid: &Money, twelve_hours: i128| (paid.0 - twelve_hours * Money::ONE.0 * 100 / 7).abs() <= 48;
    assert!(paid.len() == 2 && near(&paid[0], 1) && near(&paid[1], 2), "{paid:?}");
    assert_eq!(
        bill.days().map(|(a, b)| (a.to_string(), b.to_string())),
        Some(("2026-11-01".into(), "2026-11-04".into()))
    );
    assert_eq!(bill.machines["VM"].1.to_string(), "100.000000000001");
}

#[test]
fn storage_has_a_price_where_its_amount_is_told_and_the_rest_is_left_out_by_name() {
    let mut bill = Bill::default();
    let (begins, ends) = ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    let kept = [("ConsumedQuantity", "20"), ("ConsumedUnit", "GB-Mo")];
    add(&mut bill, &chosen(), &row([begins, ends, "0.46", "Storage", "Amazon S3"], &kept)).unwrap();
    add(&mut bill, &chosen(), &row([begins, ends, "0.2", "Storage", "Amazon S3"], &[("ConsumedUnit", "Requests")]))
        .unwrap();
    add(&mut bill, &chosen(), &row([begins, ends, "3", "Networking", "VPC"], &[])).unwrap();
    add(&mut bill, &chosen(), &row([begins, ends, "1.9", "Compute", "EC2"], &[("ChargeCategory", "Tax")])).unwrap();
    add(&mut bill, &chosen(), &row([begins, ends, "24", "Compute", "EC2"], &[])).unwrap();
    add(&mut bill, &chosen(), &row([begins, ends, "-12", "Compute", "EC2"], &[("ChargeCategory", "Credit")])).unwrap();
    let entries = bill.entries((1, 4), "bill");
    assert_eq!(hours(&entries), [("2026-11-01".to_owned(), Some("0.5".to_owned()))]);
    assert_eq!(entries[0].storage_gb_month.unwrap().to_string(), "0.023");
    let left: Vec<(&str, String)> = bill.left_out.iter().map(|(k, (_, m))| (k.as_str(), m.to_string())).collect();
    let wanted = [("Amazon S3 (Storage)", "0.2"), ("VPC (Networking)", "3"), ("taxes", "1.9")];
    assert_eq!(left, wanted.map(|(k, m)| (k, m.to_owned())));
}

#[test]
fn services_and_tags_choose() {
    let mut bill = Bill::default();
    let (begins, ends) = ("2026-11-01", "2026-11-02");
    let chosen = Chosen {
        services: vec!["SageMaker".into()],
        tags: vec![("team".into(), "ml".into()), ("n".into(), "1".into())],
        ..chosen()
    };
    for (service, tags) in [
        ("SageMaker", r#"{"team": "ml", "n": 1}"#),
        ("SageMaker", r#"{"team": "web", "n": 1}"#),
        ("EC2", r#"{"team": "ml", "n": 1}"#),
        ("SageMaker", ""),
    ] {
        add(&mut bill, &chosen, &row([begins, ends, "24", "Compute", service], &[("Tags", tags)])).unwrap();
    }
    assert_eq!(hours(&bill.entries((1, 1), "bill")), [("2026-11-01".to_owned(), Some("1".to_owned()))]);
    assert_eq!((bill.untagged, bill.left_out.len()), (2, 1));
}

#[test]
fn what_is_wrong_with_a_row_is_said() {
    let good = row(["2026-11-01", "2026-11-02", "1", "Compute", "EC2"], &[]);
    for (name, value, said) in [
        ("ChargePeriodStart", "soon", "\"soon\" is no time"),
        ("ChargePeriodEnd", "2026-11-01", "not after"),
        ("ChargePeriodEnd", "2126-11-01", "ten years"),
        ("EffectiveCost", "free", "EffectiveCost: \"free\" is no amount"),
        ("EffectiveCost", "", "no EffectiveCost"),
        ("BillingCurrency", "EUR", "nothing is converted"),
    ] {
        let mut bill = Bill::default();
        add(&mut bill, &chosen(), &good).unwrap();
        let mut bad = good.clone();
        bad.insert(name, value);
        let why = add(&mut bill, &chosen(), &bad).unwrap_err();
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn amounts_of_machines_are_read_as_they_write_them() {
    for (text, amount) in [
        ("4.1666666666e-05", "0.000041666667"),
        ("0.0000000000004", "0"),
        ("5e-13", "0.000000000001"),
        ("-12.50", "-12.5"),
        ("1.5E3", "1500"),
        ("7", "7"),
        (".5", "0.5"),
        ("4e-20", "0"),
    ] {
        assert_eq!(Money::rounded(text).unwrap().to_string(), amount, "{text}");
    }
    for text in ["", "-", "1e99", "NaN", "1.2.3", "1,5", "99999999999999"] {
        assert!(Money::rounded(text).is_err(), "{text}");
    }
}

#[test]
fn a_day_without_charges_costs_nothing_and_not_what_the_day_before_it_did() {
    let mut bill = Bill::default();
    for (day, next) in [("2026-11-01", "2026-11-02"), ("2026-11-04", "2026-11-05")] {
        let (begins, ends) = (format!("{day}T00:00:00Z"), format!("{next}T00:00:00Z"));
        add(&mut bill, &chosen(), &row([&begins, &ends, "24", "Compute", "VM"], &[])).unwrap();
    }
    let entries = bill.entries((1, 1), "bill");
    let wanted = [("2026-11-01", "1"), ("2026-11-02", "0"), ("2026-11-04", "1")];
    assert_eq!(hours(&entries), wanted.map(|(day, hour)| (day.to_owned(), Some(hour.to_owned()))));
    let spec = PriceSpec { currency: "USD".to_owned(), entries, offers: Vec::new() };
    spec.validate().unwrap();
    let day = |text: &str| text.parse::<crate::prices::Day>().unwrap().begins();
    let paid = spec.within(day("2026-11-01"), day("2026-11-05")).filter_map(|(e, us)| Some(e.host.as_ref()?.paid(us)));
    assert_eq!(paid.sum::<Money>().to_string(), "48", "what was billed");
}

#[test]
fn tokens_of_a_service_are_no_machines() {
    let mut bill = Bill::default();
    for (service, cost, unit) in [
        ("Amazon SageMaker", "2.4", "Instance-Hours"),
        ("Amazon Bedrock", "7", "1K tokens"),
        ("Amazon Comprehend", "3", "Requests"),
    ] {
        let cells = ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", cost, "AI and Machine Learning", service];
        add(&mut bill, &chosen(), &row(cells, &[("ConsumedUnit", unit)])).unwrap();
    }
    assert_eq!(bill.machines.keys().collect::<Vec<_>>(), ["Amazon SageMaker"]);
    assert_eq!(bill.left_out.len(), 2, "{:?}", bill.left_out);
    let named = Chosen { services: vec!["Amazon Bedrock".into()], ..chosen() };
    let mut asked = Bill::default();
    let cells = ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "7", "AI and Machine Learning", "Amazon Bedrock"];
    add(&mut asked, &named, &row(cells, &[("ConsumedUnit", "1K tokens")])).unwrap();
    assert_eq!(asked.machines.len(), 1, "who names a service knows what it is");
}
