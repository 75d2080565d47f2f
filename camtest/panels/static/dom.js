// What the widgets that keep their elements and change them in place have in common; put before their scripts.
function element(parent, tag, className) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  parent.append(made);
  return made;
}
function set(node, key, value) { if (node[key] !== value) node[key] = value; }
