// The page of rejects: every record that a rule rejected, merged or flagged with a note.
import { t } from "../i18n.ts";
import type { Page, Visit } from "../router.ts";
import { journalPage } from "./journal.ts";

export async function rejects(visit: Visit): Promise<Page> {
  return journalPage("/rejects", t("rejects"), t("rejects_about"), visit);
}
