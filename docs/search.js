// Search by words, in place of smalldocs' letters that are roughly alike (to which "dask" is "mask"). Every word that is typed must
// begin a word of the section; a title counts more than a text. It has the face of Fuse, which smalldocs asks for.
window.Fuse = class {
  constructor(entries) {
    const clean = (s) => " " + s.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ");
    this.entries = entries.map((item) => ({ item, fields: [clean(item.title), clean(item.section), clean(item.text)] }));
  }
  search(query, { limit }) {
    const words = query.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);
    const times = (field, word) => field.split(" " + word).length - 1;
    const rank = ({ item, fields: [title, section, text] }) => {
      const each = words.map((w) => 8 * times(title, w) + 6 * times(section, w) + Math.min(4, times(text, w)) / (1 + text.length / 4000));
      return each.includes(0) ? 0 : each.reduce((a, b) => a + b, 0);
    };
    const found = this.entries.map((e) => ({ item: e.item, rank: rank(e) })).filter((e) => e.rank).sort((a, b) => b.rank - a.rank);
    const page = (e) => e.item.href.split("#")[0], seen = new Map();   // of a page the three best, so that others are seen
    return found.filter((e) => seen.set(page(e), (seen.get(page(e)) || 0) + 1).get(page(e)) <= 3).slice(0, limit);
  }
};
