// Every field that a rule changed, to browse and search.
import { t } from "../i18n.ts";
import type { Page, Visit } from "../router.ts";
import { journal } from "./journal.ts";

export async function changes(visit: Visit): Promise<Page> {
  return journal("/changes", t("changes"), t("changes_about"), visit);
}
