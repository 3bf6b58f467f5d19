// Positions of the boxes of a graph: a column for each step from the sources, ordered so that few lines cross.
import type { NodeKind } from "../codes.ts";
import type { Graph } from "../types.ts";

export const BOX = { width: 208, height: 54, gapX: 56, gapY: 14 };

interface Position {
  x: number;
  y: number;
  column: number;
}

/** Kinds of nodes before the models. */
const BEFORE_MODELS: NodeKind[] = ["source", "stream", "rule"];

/** The column of each node: the length of its longest path. Models start right of the last rule. */
function columns(graph: Graph): Map<string, number> {
  const successors = new Map<string, string[]>();
  for (const edge of graph.edges) successors.set(edge.from, [...(successors.get(edge.from) ?? []), edge.to]);
  const kinds = new Map(graph.nodes.map((node) => [node.id, node.kind]));
  const isBeforeModels = (id: string): boolean => BEFORE_MODELS.includes(kinds.get(id) ?? "model");
  const column = new Map(graph.nodes.map((node) => [node.id, 0]));
  const assign = (isIncluded: (id: string) => boolean): void => {
    const waiting = new Map(graph.nodes.filter((node) => isIncluded(node.id)).map((node) => [node.id, 0]));
    for (const { from, to } of graph.edges)
      if (isIncluded(from) && isIncluded(to)) waiting.set(to, (waiting.get(to) ?? 0) + 1);
    const ready = [...waiting].filter(([, count]) => count === 0).map(([id]) => id);
    for (let id = ready.shift(); id !== undefined; id = ready.shift()) {
      for (const next of (successors.get(id) ?? []).filter(isIncluded)) {
        column.set(next, Math.max(column.get(next) ?? 0, (column.get(id) ?? 0) + 1));
        const left = (waiting.get(next) ?? 1) - 1;
        waiting.set(next, left);
        if (left === 0) ready.push(next);
      }
    }
  };
  assign(isBeforeModels);
  const usedColumns = [...column].filter(([id]) => isBeforeModels(id)).map(([, index]) => index);
  const first = usedColumns.length > 0 ? Math.max(...usedColumns) + 1 : 0;
  for (const id of column.keys()) if (!isBeforeModels(id)) column.set(id, first);
  assign((id) => !isBeforeModels(id));
  // A model that reads nothing stands one column before the first model that reads it.
  const hasInput = new Set(graph.edges.map((edge) => edge.to));
  for (const id of column.keys()) {
    const nexts = successors.get(id) ?? [];
    if (isBeforeModels(id) || hasInput.has(id) || nexts.length === 0) continue;
    column.set(id, Math.max(first, Math.min(...nexts.map((next) => column.get(next) ?? first)) - 1));
  }
  return column;
}

/** The position of each node in pixels, and the size of the whole graph. */
export function layout(graph: Graph): { positions: Map<string, Position>; width: number; height: number } {
  const column = columns(graph);
  const count = Math.max(0, ...column.values()) + 1;
  const lists: string[][] = Array.from({ length: count }, () => []);
  for (const node of graph.nodes) lists[column.get(node.id) ?? 0]?.push(node.id);
  const neighbors = (id: string, side: "from" | "to"): string[] =>
    graph.edges.filter((edge) => edge[side === "from" ? "to" : "from"] === id).map((edge) => edge[side]);
  const rank = new Map<string, number>();
  const setRanks = (list: string[]): void => {
    list.forEach((id, index) => {
      rank.set(id, index / Math.max(1, list.length));
    });
  };
  lists.forEach(setRanks);
  // Sort each column by the mean rank of its neighbors, in passes from the left and from the right.
  for (let pass = 0; pass < 6; pass += 1) {
    const side = pass % 2 === 0 ? "from" : "to";
    for (const list of side === "from" ? lists : [...lists].reverse()) {
      const mean = new Map(
        list.map((id) => {
          const ranks = neighbors(id, side).map((other) => rank.get(other) ?? 0);
          return [
            id,
            ranks.length > 0 ? ranks.reduce((sum, value) => sum + value, 0) / ranks.length : (rank.get(id) ?? 0),
          ];
        }),
      );
      list.sort((left, right) => (mean.get(left) ?? 0) - (mean.get(right) ?? 0));
      setRanks(list);
    }
  }
  const mostRows = Math.max(1, ...lists.map((list) => list.length));
  const stepY = BOX.height + BOX.gapY;
  const height = mostRows * stepY - BOX.gapY;
  const positions = new Map<string, Position>();
  lists.forEach((list, columnIndex) => {
    const top = (height - (list.length * stepY - BOX.gapY)) / 2;
    list.forEach((id, row) => {
      positions.set(id, { x: columnIndex * (BOX.width + BOX.gapX), y: top + row * stepY, column: columnIndex });
    });
  });
  return { positions, width: count * (BOX.width + BOX.gapX) - BOX.gapX, height };
}
