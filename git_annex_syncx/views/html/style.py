"""The style sheet of all pages: light and dark, wide and narrow, for the printer too."""

from __future__ import annotations

from git_annex_syncx.views import svg

RULES = """
:root{color-scheme:light dark;--paper:#fff;--ground:#f4f6f8;--text:#14202b;--quiet:#52606d;--line:#d5dce3;
--link:#1a5fa0;--good:#2f6b17;--good-ground:#e1f0d9;--wait:#6f4c00;--wait-ground:#fdf0cc;--bad:#a1241e;--bad-ground:#fbe0de;
--plain-ground:#e6ecf2}
@media screen and (prefers-color-scheme:dark){:root{--paper:#15191e;--ground:#0d1013;--text:#e9edf1;--quiet:#a9b4bf;
--line:#333c46;--link:#8ec1f5;--good:#a5dc92;--good-ground:#1f3a24;--wait:#f2cb78;--wait-ground:#42340f;--bad:#f7aca7;
--bad-ground:#4a2023;--plain-ground:#262e37}}
*{box-sizing:border-box}
html{font:100%/1.5 system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--text);overflow-wrap:anywhere}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
h1{margin:0;font-size:1.75rem;line-height:1.2}
h2{margin:0 0 .75rem;font-size:1.2rem;line-height:1.3}
h3{margin:1.5rem 0 .5rem;font-size:1rem}
p{margin:.5rem 0}
a{color:var(--link)}
.skip{position:absolute;left:-100vw}
.skip:focus{position:static;display:block;padding:.75rem 1rem;background:var(--paper)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:2px}
main:focus{outline:none}
nav ul{display:flex;flex-wrap:wrap;gap:0 1rem;margin:.75rem 0 0;padding:0;list-style:none}
nav a{display:inline-block;padding:.3rem 0}
section{margin:1rem 0;padding:1rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}
.quiet,caption,footer{color:var(--quiet);font-size:.875rem}
footer{padding-top:.5rem;padding-bottom:2rem}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
code.command{display:inline-block;padding:.1em .4em;border-radius:.25rem;background:var(--plain-ground)}
figure{margin:0}
.scroll{overflow:auto;max-height:44rem;border-radius:.5rem}
.scroll svg{display:block;margin:0 auto;max-width:100%;height:auto}
.scroll svg.wide{min-width:28rem}
ul{margin:.5rem 0;padding-left:1.25rem}
li{margin:.25rem 0}
.notes{list-style:none;padding:0;margin:0}
.note{margin:.5rem 0;padding:.5rem .75rem;border-left:.3rem solid var(--line);border-radius:.375rem}
.note p{margin:.25rem 0 0}
.note.bad{border-color:var(--bad)}
.note.wait{border-color:var(--wait)}
.note.bad,.note.wait{color:var(--text)}
.note .quiet{color:inherit}
.tree{list-style:none;margin:0;padding-left:1.25rem;border-left:2px solid var(--line)}
.state{display:inline-block;margin:0 .25em 0 0;padding:0 .6em;border-radius:1em;background:var(--plain-ground);
white-space:nowrap;font-size:.875rem;line-height:1.6}
.good{color:var(--good);background:var(--good-ground)}
.wait{color:var(--wait);background:var(--wait-ground)}
.bad{color:var(--bad);background:var(--bad-ground)}
details{margin:.75rem 0}
summary{cursor:pointer;padding:.5rem 0;color:var(--link)}
dl{margin:.5rem 0;display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}
dt{color:var(--quiet)}
dd{margin:0}
table{width:100%;border-collapse:collapse;font-size:.9375rem}
caption{text-align:left;padding-bottom:.5rem}
th,td{padding:.5rem .75rem .5rem 0;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--quiet);font-weight:600;font-size:.8125rem}
tbody th{font-weight:600}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
progress{display:block;width:100%;min-width:6rem;max-width:14rem;height:.5rem;accent-color:var(--good)}
@media screen and (max-width:45rem){
table,tbody,tr{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
caption{display:block}
tr{padding:.5rem 0;border-top:1px solid var(--line)}
tbody th,td{display:grid;grid-template-columns:7rem 1fr;gap:.5rem;padding:.2rem 0;border:0}
tbody th{display:block;font-size:1rem}
td:before{content:attr(data-label);color:var(--quiet);font-size:.875rem}
td.number,td{text-align:left}
td:has(>span:empty){display:none}
progress{max-width:none}
}
@media print{
:root{color-scheme:light}
details::details-content{content-visibility:visible;height:auto}
html{font-size:10pt}
body,section{background:none;border:0;padding:0}
nav,.skip{display:none}
.scroll{overflow:visible;max-height:none}
svg{max-width:100%;height:auto}
section,tr{break-inside:avoid}
}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
"""
STYLE = RULES.replace("\n", "") + svg.STYLE
