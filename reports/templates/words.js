// What was heard against what should have been said, word by word (character by character in Chinese).

const tokens = (text) => {
  const spaced = text.trim().split(/\s+/).filter(Boolean);
  return /[㐀-鿿豈-﫿]/.test(text) ? spaced.flatMap((word) => [...word]) : spaced;
};

// Steps of the alignment with the fewest edits (Levenshtein) and, among those, the fewest exchanged words:
// [kind, said, heard], kind one of "same", "other", "missing", "added".
const EDIT = 1000, EXCHANGE = 1001;

const aligned = (said, heard) => {
  const cost = [...Array(said.length + 1)].map((_, row) => {
    const line = new Uint32Array(heard.length + 1);
    line[0] = row * EDIT;
    return line;
  });
  for (let column = 0; column <= heard.length; column += 1) cost[0][column] = column * EDIT;
  for (let row = 1; row <= said.length; row += 1) {
    for (let column = 1; column <= heard.length; column += 1) {
      const swap = cost[row - 1][column - 1] + (said[row - 1] === heard[column - 1] ? 0 : EXCHANGE);
      cost[row][column] = Math.min(swap, cost[row - 1][column] + EDIT, cost[row][column - 1] + EDIT);
    }
  }
  const steps = [];
  let [row, column] = [said.length, heard.length];
  while (row || column) {
    const here = cost[row][column];
    const differ = row && column && said[row - 1] !== heard[column - 1] ? EXCHANGE : 0;
    if (row && column && here === cost[row - 1][column - 1] + differ) {
      row -= 1;
      column -= 1;
      steps.push([differ ? "other" : "same", said[row], heard[column]]);
    } else if (row && here === cost[row - 1][column] + EDIT) {
      row -= 1;
      steps.push(["missing", said[row], ""]);
    } else {
      column -= 1;
      steps.push(["added", "", heard[column]]);
    }
  }
  return steps.reverse();
};

const MOST_TOKENS = 1000;

const heardText = (said, heard) => {
  const [wanted, found] = [tokens(said), tokens(heard)];
  if (!found.length) return [make("em", {}, wanted.length ? "nothing was heard" : "")];
  if (wanted.length > MOST_TOKENS || found.length > MOST_TOKENS) return [heard];
  const apart = found.length + wanted.length < said.length + heard.length ? " " : "";
  return aligned(wanted, found).flatMap(([kind, one, other]) => {
    const mark = {
      same: () => other,
      other: () => make("ins", {class: "other", title: `instead of “${one}”`}, other),
      added: () => make("ins", {title: "nobody said it"}, other),
      missing: () => make("del", {title: "not heard"}, one),
    }[kind]();
    return [mark, apart];
  });
};
