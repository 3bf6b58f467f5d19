// The page of changes: every field that a rule changed.
import { t } from "../i18n.ts";
import type { Page, Visit } from "../router.ts";
import { journalPage } from "./journal.ts";

export async function changes(visit: Visit): Promise<Page> {
  return journalPage("/changes", t("changes"), t("changes_about"), visit);
}
