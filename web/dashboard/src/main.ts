import { mount } from 'svelte'
import './styles/tokens.css'
import './styles/base.css'
import App from './app/App.svelte'

const target = document.getElementById('app')!

// A site that frames this page could lay its own picture over a button. Only a header forbids it, and not every host sends one.
if (window.top === window) mount(App, { target })
else target.textContent = 'The dashboard does not run inside another page. Open it by itself.'
