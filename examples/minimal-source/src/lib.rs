//! Reads exchange rates from a JSON service: `{"rates":[{"month":"2026-10-01","currency":"USD","rate":5.4}]}`.
use plugin_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Config {
    path: String,
}

struct Rates {
    path: String,
}

fn table() -> JsonTable {
    JsonTable::rows_at("/rates")
        .column(Field::new("month", Type::Date), "/month")
        .column(Field::text("currency"), "/currency")
        .column(Field::text("bank"), "/bank")
        .column(Field::new("rate", Type::Decimal), "/rate")
}

impl Source for Rates {
    type Config = Config;
    fn needs() -> Vec<Need> {
        vec![Need::connection("rates")]
    }
    fn open(config: Config) -> Result<Self> {
        Ok(Self { path: config.path })
    }
    fn discover(&self, _: Option<&[String]>) -> Result<Vec<StreamInfo>> {
        Ok(vec![StreamInfo::new("rates", &table().schema(&["month", "currency"])).replaced()])
    }
    fn read(&self, _: Selection) -> Result<Box<dyn Reader>> {
        Ok(Box::new(RatesReader(self.path.clone())))
    }
}

struct RatesReader(String);

impl Reader for RatesReader {
    fn next(&mut self) -> Result<Page> {
        let response = Request::get(&self.0).send("rates")?.ok()?;
        let schema = table().schema(&["month", "currency"]);
        Ok(Page::new().rows("rates", &schema, table().decode(&response)?).done(true))
    }
}
export_source!(Rates);
