// Every record that a rule refused, and why, to browse and search.
import { t } from "../i18n.ts";
import type { Page, Visit } from "../router.ts";
import { journal } from "./journal.ts";

export async function rejects(visit: Visit): Promise<Page> {
  return journal("/rejects", t("rejects"), t("rejects_about"), visit);
}
