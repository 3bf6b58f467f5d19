// Where the boxes of a graph stand: a column each step away from the sources, in an order with few crossings.
import type { Graph } from "../types.ts";

export const BOX = { width: 208, height: 54, gapX: 56, gapY: 14 };

export interface Placed {
  x: number;
  y: number;
  column: number;
}

const EARLY = ["source", "stream", "rule"];

/** How many steps each node is from its beginning, by the longest way; models stand right of all that is cleaned. */
function columns(graph: Graph): Map<string, number> {
  const after = new Map<string, string[]>();
  for (const edge of graph.edges) after.set(edge.from, [...(after.get(edge.from) ?? []), edge.to]);
  const kinds = new Map(graph.nodes.map((node) => [node.id, node.kind]));
  const isEarly = (id: string): boolean => EARLY.includes(kinds.get(id) ?? "");
  const column = new Map(graph.nodes.map((node) => [node.id, 0]));
  const walk = (wanted: (id: string) => boolean): void => {
    const waiting = new Map(graph.nodes.filter((node) => wanted(node.id)).map((node) => [node.id, 0]));
    for (const { from, to } of graph.edges) if (wanted(from) && wanted(to)) waiting.set(to, (waiting.get(to) ?? 0) + 1);
    const ready = [...waiting].filter(([, count]) => count === 0).map(([id]) => id);
    for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
      for (const next of (after.get(id) ?? []).filter(wanted)) {
        column.set(next, Math.max(column.get(next) ?? 0, (column.get(id) ?? 0) + 1));
        const left = (waiting.get(next) ?? 1) - 1;
        waiting.set(next, left);
        if (left === 0) ready.push(next);
      }
    }
  };
  walk(isEarly);
  const early = [...column].filter(([id]) => isEarly(id)).map(([, at]) => at);
  const first = early.length > 0 ? Math.max(...early) + 1 : 0;
  for (const id of column.keys()) if (!isEarly(id)) column.set(id, first);
  walk((id) => !isEarly(id));
  // What nothing leads to stands just before what it leads to.
  const led = new Set(graph.edges.map((edge) => edge.to));
  for (const id of column.keys()) {
    const nexts = after.get(id) ?? [];
    if (isEarly(id) || led.has(id) || nexts.length === 0) continue;
    column.set(id, Math.max(first, Math.min(...nexts.map((next) => column.get(next) ?? first)) - 1));
  }
  return column;
}

/** A place for each node, left to right. */
export function layout(graph: Graph): { placed: Map<string, Placed>; width: number; height: number } {
  const column = columns(graph);
  const count = Math.max(0, ...column.values()) + 1;
  const lists: string[][] = Array.from({ length: count }, () => []);
  for (const node of graph.nodes) lists[column.get(node.id) ?? 0]?.push(node.id);
  const neighbours = (id: string, side: "from" | "to"): string[] =>
    graph.edges.filter((edge) => edge[side === "from" ? "to" : "from"] === id).map((edge) => edge[side]);
  const rank = new Map<string, number>();
  const number = (list: string[]): void => {
    list.forEach((id, at) => {
      rank.set(id, at / Math.max(1, list.length));
    });
  };
  lists.forEach(number);
  // Each column is ordered by the mean place of its neighbours, forth and back a few times.
  for (let sweep = 0; sweep < 6; sweep += 1) {
    const side = sweep % 2 === 0 ? "from" : "to";
    for (const list of side === "from" ? lists : [...lists].reverse()) {
      const mean = new Map(
        list.map((id) => {
          const near = neighbours(id, side).map((other) => rank.get(other) ?? 0);
          return [
            id,
            near.length > 0 ? near.reduce((sum, value) => sum + value, 0) / near.length : (rank.get(id) ?? 0),
          ];
        }),
      );
      list.sort((left, right) => (mean.get(left) ?? 0) - (mean.get(right) ?? 0));
      number(list);
    }
  }
  const most = Math.max(1, ...lists.map((list) => list.length));
  const stepY = BOX.height + BOX.gapY;
  const height = most * stepY - BOX.gapY;
  const placed = new Map<string, Placed>();
  lists.forEach((list, at) => {
    const top = (height - (list.length * stepY - BOX.gapY)) / 2;
    list.forEach((id, place) => {
      placed.set(id, { x: at * (BOX.width + BOX.gapX), y: top + place * stepY, column: at });
    });
  });
  return { placed, width: count * (BOX.width + BOX.gapX) - BOX.gapX, height };
}
