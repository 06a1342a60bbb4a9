// One picture, a key or a button for each class. Used by the page of `bdal_label` and by the widget.
export function mount(root, send) {
  root.innerHTML = `
    <style>
      .bdal { font: 16px system-ui, sans-serif; max-width: 46rem; margin: auto; color: CanvasText; color-scheme: light dark }
      .bdal figure { margin: 0; height: 60vh; max-height: 34rem; display: grid; place-items: center; background: #8882; border-radius: 8px }
      .bdal img { max-width: 100%; max-height: 60vh; image-rendering: auto; object-fit: contain; min-height: 12rem }
      .bdal .keys { display: flex; flex-wrap: wrap; gap: .5rem; margin: .8rem 0 }
      .bdal button { font: inherit; padding: .5rem .8rem; border-radius: 6px; border: 1px solid #8888; background: #8881; color: inherit; cursor: pointer }
      .bdal button:focus-visible { outline: 3px solid #0072b2 }
      .bdal kbd { opacity: .6; margin-right: .4rem }
      .bdal progress { width: 100% }
      .bdal [role=status] { min-height: 1.5em }
    </style>
    <div class="bdal" tabindex="0">
      <label>labelled <progress max="1" value="0"></progress></label>
      <div class="bar"></div>
      <figure><img alt="the picture to be labelled"></figure>
      <div class="keys" role="group" aria-label="classes"></div>
      <div role="status" aria-live="polite"></div>
    </div>`
  const $ = s => root.querySelector(s), box = $('.bdal')
  let state = {}
  const button = (key, text, what) => {
    const b = document.createElement('button')
    b.innerHTML = `<kbd>${key}</kbd>`
    b.append(text)
    b.onclick = () => { send(what); box.focus() }
    return b
  }
  function show(next) {
    state = next
    const { names, keys, done, budget, picture, message, accuracy } = state
    $('progress').value = budget ? done / budget : 0
    $('.bar').textContent = `${done} of ${budget}` + (accuracy ? `; guessed right before you answered: ${accuracy}` : '')
    $('.keys').replaceChildren(
      ...names.map((name, i) => button(keys[i], name, { key: keys[i] })),
      button('S', 'skip for good', { key: 's' }), button('⌫', 'undo', { key: 'Backspace' }),
      button('?', 'what would you say?', { key: '?' }), button('+', 'a new class', { key: '+' }))
    $('img').hidden = !picture
    if (picture && $('img').src !== picture) $('img').src = picture
    $('[role=status]').textContent = message
  }
  function press(what) {
    if (what.key === '+') {
      const name = prompt('The new class is called:')
      if (name) send({ add: name })
    } else send(what)
  }
  const given = send
  send = what => what.key === '+' ? press(what) : given(what)
  const onkey = e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === 'INPUT') return
    const key = e.key.length === 1 ? e.key.toLowerCase() : e.key
    if (![...(state.keys || []), 's', '?', '+', 'Backspace'].includes(key)) return
    e.preventDefault(); e.stopPropagation()
    send({ key })
  }
  box.addEventListener('keydown', onkey)
  box.focus()
  return { show, onkey }
}

// anywidget: the state is a trait, a key is a message
export default {
  render({ model, el }) {
    const view = mount(el, what => model.send(what))
    const update = () => view.show(model.get('state'))
    model.on('change:state', update)
    update()
  }
}
