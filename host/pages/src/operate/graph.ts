// A graph of boxes and lines, left to right; on a narrow screen the same boxes stand below each other.
import { h, svg } from "../dom.ts";
import { formatCount, formatSeconds } from "../format.ts";
import { plural, t } from "../i18n.ts";
import type { Graph, GraphNode } from "../types.ts";
import { BOX, layout } from "./layout.ts";
import { statusText } from "./status.ts";

export interface Drawn {
  node: HTMLElement;
  /** Shows what became of a node. */
  update: (id: string, change: Partial<GraphNode>) => void;
}

const KINDS: Record<string, "kind_source" | "kind_stream" | "kind_rule" | "kind_model" | "kind_seed" | "kind_check"> = {
  source: "kind_source",
  stream: "kind_stream",
  rule: "kind_rule",
  model: "kind_model",
  view: "kind_model",
  table: "kind_model",
  incremental: "kind_model",
  snapshot: "kind_model",
  seed: "kind_seed",
  check: "kind_check",
};

function details(node: GraphNode): string {
  const parts = [
    node.rows !== null && node.rows !== undefined ? plural("rows", node.rows, formatCount(node.rows)) : "",
    node.seconds !== null && node.seconds !== undefined ? formatSeconds(node.seconds) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** The status in words, or, where all is well, a tick that is read out as those. */
function statusMark(status: string): HTMLElement | null {
  if (!status) return null;
  if (status !== "done") return h("span", { class: "node-status" }, statusText(status));
  return h(
    "span",
    { class: "node-status good" },
    h("span", { "aria-hidden": "true" }, "✓"),
    h("span", { class: "visually-hidden" }, statusText(status)),
  );
}

/** Draws `graph`; a press on a box opens it. */
export function drawGraph(graph: Graph, label: string, open: (node: GraphNode) => void): Drawn {
  const { placed, width, height } = layout(graph);
  const nodes = new Map(graph.nodes.map((node) => [node.id, { ...node }]));
  const boxes = new Map<string, HTMLElement>();
  const lines: { line: SVGPathElement; from: string; to: string }[] = [];

  const show = (node: GraphNode): void => {
    const box = boxes.get(node.id);
    if (!box) return;
    const kind = KINDS[node.kind];
    const status = node.status ?? "";
    box.dataset.status = status;
    box.replaceChildren(
      h("span", { class: "node-kind" }, kind ? t(kind) : node.kind, statusMark(status)),
      h("span", { class: "node-name" }, node.name),
      h("span", { class: "node-facts" }, details(node)),
    );
  };
  const light = (id: string | null): void => {
    for (const { line, from, to } of lines) line.classList.toggle("lit", id !== null && (from === id || to === id));
  };
  const place = h("div", { class: "graph-plane" });
  const drawing = svg("svg", { width, height, class: "graph-lines", "aria-hidden": "true" });
  for (const edge of graph.edges) {
    const from = placed.get(edge.from);
    const to = placed.get(edge.to);
    if (!from || !to) continue;
    const [x1, y1, x2, y2] = [from.x + BOX.width, from.y + BOX.height / 2, to.x, to.y + BOX.height / 2];
    const bend = Math.max(24, Math.abs(x2 - x1) * 0.4);
    const line = svg("path", {
      d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
      class: "graph-line",
    });
    lines.push({ line, from: edge.from, to: edge.to });
    drawing.append(line);
  }
  place.append(drawing);
  const order = [...graph.nodes].sort((left, right) => {
    const [a, b] = [placed.get(left.id), placed.get(right.id)];
    return (a?.column ?? 0) - (b?.column ?? 0) || (a?.y ?? 0) - (b?.y ?? 0);
  });
  for (const node of order) {
    const at = placed.get(node.id);
    const box = h("button", {
      type: "button",
      class: "node",
      "data-node": node.id,
      "data-kind": node.kind,
      title: node.name,
      on: {
        click: () => open(nodes.get(node.id) ?? node),
        mouseenter: () => light(node.id),
        mouseleave: () => light(null),
        focus: () => light(node.id),
        blur: () => light(null),
      },
    });
    box.style.left = `${at?.x ?? 0}px`;
    box.style.top = `${at?.y ?? 0}px`;
    boxes.set(node.id, box);
    place.append(box);
    show(node);
  }
  place.style.setProperty("--graph-width", `${width}px`);
  place.style.setProperty("--graph-height", `${height}px`);
  const update = (id: string, change: Partial<GraphNode>): void => {
    const node = nodes.get(id);
    if (!node) return;
    Object.assign(node, change);
    show(node);
  };
  return { node: h("div", { class: "graph scroll", role: "group", "aria-label": label }, place), update };
}
