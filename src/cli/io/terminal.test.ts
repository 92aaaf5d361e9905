// Pages are laid out in columns, and nothing in them steers the terminal.
import { expect, test } from "bun:test";
import { pageText } from "./terminal.ts";

test("columns stand two spaces apart, wide characters counted as wide, and no line ends in spaces", () => {
  const table = [["NAME", "RACK", "END"], ["a", "東京", "x"], ["longer", "r1", ""], ["b"]];
  expect(pageText(["head", table])).toBe("head\nNAME    RACK  END\na       東京  x\nlonger  r1\nb");
});

test("control characters become spaces", () => {
  expect(pageText(["a\u001b[31mred\nline", [["x\ty", "z\u0007"]]])).toBe("a [31mred line\nx y  z");
});
