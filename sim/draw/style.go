package draw

// styleSheet colours the picture by class, for a light and a dark surface. The
// background is the picture's own, because a page may be dark where the system
// is light. Shapes and words say what the colours say.
const styleSheet = `
text { font: 12px system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; fill: #1f2328 }
.heading { font-size: 18px; font-weight: 600 }
.mono, .card { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace }
.mono, .note { font-size: 11px }
.note { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round }
.card { font-weight: 600 }
.day { font-weight: 600 }
.number { font-size: 9px; font-weight: 700; text-anchor: middle; fill: #ffffff }
.badge-text { font-size: 11px; font-weight: 700; text-anchor: middle; fill: #4d2d00 }
.middle { text-anchor: middle }
.muted { fill: #59636e }
.bg { fill: #ffffff }
.lane { stroke: #818b98; stroke-width: 1.5 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.pole { stroke: #818b98; stroke-width: 1 }
.torn { fill: none; stroke: #818b98; stroke-width: 1 }
.guard { fill: #f2d675 }
.guard-end { stroke: #9a6700; stroke-width: 2 }
.badge { fill: #fff8c5; stroke: #9a6700 }
.event { stroke-width: 2; stroke-linejoin: round }
.auto { fill: #0969da; stroke: #0969da }
.forced { fill: #bc4c00; stroke: #bc4c00 }
.set_interval { fill: #1a7f37; stroke: #1a7f37 }
.disable { fill: #59636e; stroke: #59636e }
.idle { fill: #ffffff }
.idle .number { fill: #1f2328 }
.number { stroke: none }
.cross { stroke: #ffffff; stroke-width: 2 }
.arrow { fill: none; stroke: #1a7f37; stroke-width: 1.5 }
.head { fill: #1a7f37; stroke: none }
.slot { fill: #ffffff; stroke: #1a7f37; stroke-width: 1.5 }
.served { fill: #1a7f37 }
.dropped { stroke: #818b98; stroke-dasharray: 3 2 }
.dropped .head { fill: #818b98 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.number { fill: #0d1117 }
.note { stroke: #0d1117 }
.badge-text { fill: #f2cc60 }
.muted { fill: #9198a1 }
.bg { fill: #0d1117 }
.lane, .pole, .torn { stroke: #6e7681 }
.grid { stroke: #2f353d }
.guard { fill: #5f4a12 }
.guard-end { stroke: #d29922 }
.badge { fill: #2e2a1f; stroke: #d29922 }
.auto { fill: #58a6ff; stroke: #58a6ff }
.forced { fill: #f0883e; stroke: #f0883e }
.set_interval { fill: #3fb950; stroke: #3fb950 }
.disable { fill: #9198a1; stroke: #9198a1 }
.idle { fill: #0d1117 }
.idle .number { fill: #e6edf3 }
.cross { stroke: #0d1117 }
.arrow { stroke: #3fb950 }
.head { fill: #3fb950 }
.slot { fill: #0d1117; stroke: #3fb950 }
.served { fill: #3fb950 }
.dropped { stroke: #6e7681 }
.dropped .head { fill: #6e7681 }
}
`
