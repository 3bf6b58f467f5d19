// A graph of boxes and lines, from left to right. On a narrow screen the boxes form a list.
import { h, svg } from "../dom.ts";
import { formatCount, formatSeconds } from "../format.ts";
import { plural } from "../i18n.ts";
import { kindLabel, nodeStatusLabel } from "../labels.ts";
import type { Graph, GraphNode } from "../types.ts";
import { BOX, layout } from "./layout.ts";

export interface GraphView {
  node: HTMLElement;
  /** Changes a node and draws its box again. */
  update: (id: string, change: Partial<GraphNode>) => void;
}

function facts(node: GraphNode): string {
  const parts = [
    node.rows !== null && node.rows !== undefined ? plural("rows", node.rows, formatCount(node.rows)) : "",
    node.seconds !== null && node.seconds !== undefined ? formatSeconds(node.seconds) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** The status in words; a tick for `done`, which screen readers read as the word. */
function statusMark(status: GraphNode["status"]): HTMLElement | null {
  if (!status) return null;
  if (status !== "done") return h("span", { class: "node-status" }, nodeStatusLabel(status));
  return h(
    "span",
    { class: "node-status good" },
    h("span", { "aria-hidden": "true" }, "✓"),
    h("span", { class: "visually-hidden" }, nodeStatusLabel(status)),
  );
}

/** Draws `graph`; a click on a box calls `open`. */
export function drawGraph(graph: Graph, label: string, open: (node: GraphNode) => void): GraphView {
  const { positions, width, height } = layout(graph);
  const nodes = new Map(graph.nodes.map((node) => [node.id, { ...node }]));
  const boxes = new Map<string, HTMLElement>();
  const lines: { line: SVGPathElement; from: string; to: string }[] = [];

  const show = (node: GraphNode): void => {
    const box = boxes.get(node.id);
    if (!box) return;
    box.dataset.status = node.status ?? "";
    box.replaceChildren(
      h("span", { class: "node-kind" }, kindLabel(node.kind), statusMark(node.status)),
      h("span", { class: "node-name" }, node.name),
      h("span", { class: "node-facts" }, facts(node)),
    );
  };
  const highlight = (id: string | null): void => {
    for (const { line, from, to } of lines)
      line.classList.toggle("highlighted", id !== null && (from === id || to === id));
  };
  const plane = h("div", { class: "graph-plane" });
  const drawing = svg("svg", { width, height, class: "graph-lines", "aria-hidden": "true" });
  for (const edge of graph.edges) {
    const from = positions.get(edge.from);
    const to = positions.get(edge.to);
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
  plane.append(drawing);
  const order = [...graph.nodes].sort((left, right) => {
    const [a, b] = [positions.get(left.id), positions.get(right.id)];
    return (a?.column ?? 0) - (b?.column ?? 0) || (a?.y ?? 0) - (b?.y ?? 0);
  });
  for (const node of order) {
    const position = positions.get(node.id);
    const box = h("button", {
      type: "button",
      class: "node",
      "data-node": node.id,
      "data-kind": node.kind,
      title: node.name,
      on: {
        click: () => open(nodes.get(node.id) ?? node),
        mouseenter: () => highlight(node.id),
        mouseleave: () => highlight(null),
        focus: () => highlight(node.id),
        blur: () => highlight(null),
      },
    });
    box.style.left = `${position?.x ?? 0}px`;
    box.style.top = `${position?.y ?? 0}px`;
    boxes.set(node.id, box);
    plane.append(box);
    show(node);
  }
  plane.style.setProperty("--graph-width", `${width}px`);
  plane.style.setProperty("--graph-height", `${height}px`);
  const update = (id: string, change: Partial<GraphNode>): void => {
    const node = nodes.get(id);
    if (!node) return;
    Object.assign(node, change);
    show(node);
  };
  return { node: h("div", { class: "graph scroll", role: "group", "aria-label": label }, plane), update };
}
