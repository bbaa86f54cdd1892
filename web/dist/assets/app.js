const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./vendor.css"])))=>i.map(i=>d[i]);
import{n as e}from"./rolldown-runtime.js";import{$ as t,A as n,B as r,C as i,D as a,E as o,F as s,G as c,H as l,I as u,K as d,L as f,M as p,N as m,O as ee,P as te,Q as ne,R as re,S as ie,T as h,U as ae,V as oe,W as se,X as ce,Y as le,Z as ue,_ as de,at as fe,b as pe,c as me,ct as he,d as ge,dt as _e,et as ve,f as ye,ft as be,g as xe,gt as Se,h as Ce,ht as we,it as Te,j as Ee,k as De,l as Oe,lt as ke,m as Ae,mt as je,nt as Me,o as Ne,ot as Pe,p as Fe,pt as Ie,rt as Le,s as Re,st as ze,tt as Be,u as Ve,ut as He,v as Ue,x as We,y as Ge,z as Ke}from"./vendor.js";import{$ as g,C as qe,D as Je,E as Ye,F as Xe,H as Ze,I as Qe,J as $e,K as et,L as tt,M as nt,N as rt,O as it,P as _,Q as at,R as ot,S as st,T as ct,V as lt,W as v,X as y,Y as b,Z as ut,_ as dt,a as x,at as ft,b as pt,ct as mt,d as ht,dt as S,et as C,ft as gt,g as w,h as T,i as _t,it as vt,j as yt,l as bt,m as xt,n as E,o as D,ot as St,pt as O,q as Ct,r as wt,rt as k,s as Tt,st as Et,tt as Dt,u as Ot,ut as kt,v as At,w as jt,y as Mt}from"./documents.js";import{a as Nt,c as A,d as j,f as M,i as Pt,l as N,m as P,n as Ft,o as F,p as It,r as Lt,s as I,t as Rt,u as zt}from"./arrange.js";import{B as Bt,C as Vt,D as Ht,E as Ut,G as L,H as Wt,I as Gt,J as Kt,M as qt,N as Jt,O as Yt,P as Xt,R as Zt,S as Qt,T as $t,U as en,V as tn,W as nn,X as rn,Y as an,Z as R,_ as on,a as sn,b as cn,c as ln,d as un,f as dn,g as fn,i as pn,j as mn,k as hn,l as gn,n as _n,o as vn,p as yn,q as bn,r as xn,s as Sn,t as Cn,u as wn,v as Tn,w as En,x as Dn,y as On,z as kn}from"./run.js";var z=e(Se(),1),An=we(),jn={theme:`system`,language:`en`,linkStyle:`curved`,wheel:`zoom`,minimap:!0,snap:!1,keys:{},toured:!1,used:{}},Mn={theme:[`system`,`dark`,`light`],linkStyle:[`curved`,`straight`,`stepped`,`hidden`],wheel:[`zoom`,`pan`]},Nn=`easel.settings`;function Pn(e){let t=typeof e==`object`&&e?e:{},n=Object.entries(jn).map(([e,n])=>{let r=t[e];return[e,Mn[e]?.includes(r)??(typeof r==typeof n&&r!==null)?r:n]}),r=Object.entries(Object.fromEntries(n).keys).filter(([,e])=>Array.isArray(e)&&e.every(e=>typeof e==`string`));return{...Object.fromEntries(n),keys:Object.fromEntries(r)}}function Fn(){try{return localStorage.getItem(Nn)}catch{return null}}function In(){try{return Pn(JSON.parse((typeof localStorage>`u`?null:Fn())??`null`))}catch{return jn}}var Ln=le(In),B=Ln.getState,Rn=()=>Fn()!==null;function zn({theme:e,language:t}){return document.documentElement.dataset.theme=e,kt(t)}var Bn=()=>zn(B()),Vn=()=>Promise.resolve(),Hn=e=>{Vn=e};function V(e){Ln.setState(e);let t=B();try{localStorage.setItem(Nn,JSON.stringify(t))}catch{}Vn(t).catch(()=>void 0),(`theme`in e||`language`in e)&&zn(t)}var H=e=>B().keys[e.id]??e.keys,U=()=>!0,Un=typeof navigator<`u`&&/mac/i.test(navigator.platform);function Wn(e){let t=e.key.length===1?e.key.toUpperCase():e.key,n=e.key.length===1&&!/[a-z0-9 ]/i.test(e.key);return[(Un?e.metaKey:e.ctrlKey)?`Mod`:``,e.altKey?`Alt`:``,e.shiftKey&&!n?`Shift`:``,t===` `?`Space`:t].filter(Boolean).join(`+`)}var W=e=>e.replace(`Mod`,Un?`⌘`:`Ctrl`).replace(`Shift`,Un?`⇧`:`Shift`).replace(`Alt`,Un?`⌥`:`Alt`).replaceAll(`+`,Un?``:`+`);function Gn(e){return e instanceof HTMLElement?e.isContentEditable||e instanceof HTMLTextAreaElement||e instanceof HTMLSelectElement||e instanceof HTMLInputElement&&![`checkbox`,`button`,`range`,`radio`].includes(e.type):!1}var Kn=e=>{let[t,n,r,i]=ft(e.bounding)?e.bounding.map(Number):[];return[t??0,n??0,r??200,i??100]};function qn(e,t){let[n,r,i,a]=Kn(t);return e.nodes.filter(e=>{let[t,o]=C(e);return t>=n&&t<=n+i&&o+16>=r&&o<=r+a})}var Jn=20,Yn=60;function Xn(e,t){if(e.length===0)return null;let n=e.map(e=>{let n=v(t,e),{width:r,height:i}=P(n,e,n.isOutput),[a,o]=C(e);return[a,o,a+r,o+i]}),r=Math.min(...n.map(e=>e[0]))-Jn,i=Math.min(...n.map(e=>e[1]))-Yn,a=Math.max(...n.map(e=>e[2]))+Jn,o=Math.max(...n.map(e=>e[3]))+Jn;return[r,i,a-r,o-i]}function Zn(e,t){let n=e.trim().replace(`,`,`.`);if(/^[+-]?\d+$/.test(n))return it(BigInt(n.replace(`+`,``)));let r=Qn(n);return r===null||!Number.isFinite(r)?null:t===`int`?Math.round(r):r}function Qn(e){let t=e.match(/\d*\.?\d+(?:e[+-]?\d+)?|[-+*/()]|\S/gi)??[],n=0,r=e=>{let i=t[n++];if(i===`-`)return-r(e);if(i===`+`)return r(e);if(i===`(`&&e<50){let r=a(e+1);return t[n++]===`)`?r:NaN}return i===void 0?NaN:Number(i)},i=e=>{let i=r(e);for(;t[n]===`*`||t[n]===`/`;)i=t[n++]===`*`?i*r(e):i/r(e);return i},a=e=>{let r=i(e);for(;t[n]===`+`||t[n]===`-`;)r=t[n++]===`+`?r+i(e):r-i(e);return r},o=a(0);return n===t.length&&!Number.isNaN(o)?o:null}function $n(e,t,n){return typeof e!=`number`&&typeof e!=`bigint`?e:(typeof t==`number`||typeof t==`bigint`)&&e<t?t:(typeof n==`number`||typeof n==`bigint`)&&e>n?n:e}function er(e,t,n){if(typeof e==`bigint`)return it(e+BigInt(Math.round(t*n)));let r=(String(t).split(`.`)[1]??``).length+2;return Number((Number(e)+t*n).toFixed(Math.min(r,12)))}var tr=/^\((.*):(-?\d+(?:\.\d+)?)\)$/s,nr=.05;function rr({text:e,start:t,end:n},r){let[i,a]=[t,n];for(i===a&&([i,a]=ar(e,i)??ir(e,i));i<a&&/\s/.test(e[i]??``);)i++;for(;a>i&&/\s/.test(e[a-1]??``);)a--;if(i===a)return{text:e,start:t,end:n};let o=or(e,i,a);o&&([i,a]=o);let s=tr.exec(e.slice(i,a)),c=s?.[1]??e.slice(i,a),l=Math.round((Number(s?.[2]??1)+r*nr)*100)/100,u=l===1?c:`(${c}:${l})`;return{text:e.slice(0,i)+u+e.slice(a),start:i,end:i+u.length}}function ir(e,t){let n=e=>e!==void 0&&!/[\s,.;:()[\]{}|]/.test(e),[r,i]=[t,t];for(;n(e[r-1]);)r--;for(;n(e[i]);)i++;return[r,i]}function ar(e,t){let n=0;for(let r=t-1;r>=0;r--){if(e[r]===`)`&&n++,e[r]!==`(`||n-->0)continue;let i=sr(e,r);return i!==null&&i>t&&tr.test(e.slice(r,i))?[r,i]:null}return null}function or(e,t,n){if(e[t-1]!==`(`)return null;let r=sr(e,t-1),i=r===null?null:tr.exec(e.slice(t-1,r))?.[1];return r!==null&&i===e.slice(t,n)?[t-1,r]:null}function sr(e,t){let n=0;for(let r=t;r<e.length;r++)if(e[r]===`(`&&n++,e[r]===`)`&&--n===0)return r+1;return null}var G=je(),K=(e,t,n)=>E({kind:`value`,node:e,name:t,value:n},`value ${e} ${t}`),cr=(0,z.memo)(function(e){if(e.isLinked)return(0,G.jsx)(`span`,{className:`field-linked`,children:S(`from a link`)});let t=e.input.widget;return t===`int`||t===`float`?(0,G.jsx)(lr,{...e}):t===`toggle`?(0,G.jsx)(dr,{...e}):t===`combo`?(0,G.jsx)(fr,{...e}):(0,G.jsx)(ur,{...e})});function lr({node:e,input:t,value:n,label:r}){let[i,a]=(0,z.useState)(null),o=t.widget===`int`?`int`:`float`,{min:s,max:c}=t.options,l=typeof t.options.step==`number`?t.options.step:o===`int`?1:.1,u=i!==null&&Zn(i,o)===null,d=n=>{a(n.target.value);let r=Zn(n.target.value,o);r!==null&&K(e,t.name,$n(r,s,c))},f=()=>{a(null),wt()};return(0,G.jsxs)(`span`,{className:`number nodrag`,children:[(0,G.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>K(e,t.name,$n(er(n,l,-1),s,c)),children:`−`}),(0,G.jsx)(`input`,{className:`field`,type:`text`,inputMode:`decimal`,role:`spinbutton`,"aria-label":r,"aria-invalid":u,"aria-valuenow":Number(n),"aria-valuetext":String(n),"aria-valuemin":s===void 0?void 0:Number(s),"aria-valuemax":c===void 0?void 0:Number(c),value:i??String(n),onChange:d,onBlur:f,onKeyDown:r=>{let i={ArrowUp:1,ArrowDown:-1,PageUp:10,PageDown:-10}[r.key];r.key===`Enter`&&!r.ctrlKey&&!r.metaKey&&f(),i!==void 0&&(r.preventDefault(),a(null),K(e,t.name,$n(er(n,l,i),s,c)))},autoComplete:`off`,spellCheck:!1}),(0,G.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>K(e,t.name,$n(er(n,l,1),s,c)),children:`+`})]})}function ur({node:e,input:t,value:n,label:r}){let i={className:`field nodrag nowheel`,"aria-label":r,value:String(n??``),onBlur:wt,onChange:n=>K(e,t.name,n.target.value)},a=n=>{let r={ArrowUp:1,ArrowDown:-1}[n.key];if(!r||!(n.ctrlKey||n.metaKey)||n.nativeEvent.isComposing)return;n.preventDefault();let{currentTarget:i}=n,a=rr({text:i.value,start:i.selectionStart,end:i.selectionEnd},r);K(e,t.name,a.text),requestAnimationFrame(()=>i.setSelectionRange(a.start,a.end))};return t.options.multiline===!0?(0,G.jsx)(`textarea`,{...i,onKeyDown:a,placeholder:String(t.options.placeholder??t.name)}):(0,G.jsx)(`input`,{type:`text`,...i,autoComplete:`off`})}function dr({node:e,input:t,value:n,label:r}){return(0,G.jsx)(`input`,{type:`checkbox`,className:`toggle nodrag`,role:`switch`,"aria-label":r,"aria-checked":n===!0,checked:n===!0,onChange:n=>K(e,t.name,n.target.checked)})}function fr({node:e,input:t,value:n,label:r}){let i=t.choices.indexOf(n);return(0,G.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,"aria-invalid":i<0,value:i,onChange:n=>K(e,t.name,t.choices[Number(n.target.value)]??null),children:[i<0&&(0,G.jsx)(`option`,{value:-1,children:S(`{{value}} (not here)`,{value:String(n)})}),t.choices.map((e,t)=>(0,G.jsx)(`option`,{value:t,children:String(e)},String(e)))]})}var pr={fixed:`stays`,increment:`counts up`,decrement:`counts down`,randomize:`is drawn anew`};function mr({node:e,input:t,value:n,label:r}){return(0,G.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,value:String(n),onChange:n=>K(e,Je(t.name),n.target.value),children:[Ye.map(e=>(0,G.jsx)(`option`,{value:e,children:S(pr[e]??e)},e)),!Ye.includes(n)&&(0,G.jsx)(`option`,{value:String(n),children:String(n)})]})}function hr({title:e,label:t,done:n}){let r=(0,z.useRef)(null);return(0,z.useEffect)(()=>{r.current?.select()},[]),(0,G.jsx)(`input`,{ref:r,className:`field nodrag`,"aria-label":t,defaultValue:e,onBlur:e=>n(e.target.value),onKeyDown:e=>{e.stopPropagation(),e.key===`Enter`&&e.currentTarget.blur(),e.key===`Escape`&&n(null)}})}var gr=`group:`,_r=e=>Number(e.slice(6)),vr=[`#3f789e`,`#8a5d9e`,`#3f8a5a`,`#a1763a`,`#a04848`,`#5a6270`],yr=(0,z.memo)(function({id:e,data:t}){let n=t.group,r=_r(e),i=String(n.title??S(`Group`)),a=M(t=>t.renaming===e),o=typeof n.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(n.color)?n.color:void 0,s=e=>E({kind:`group`,place:r,group:{...n,...e}}),c=vr[(vr.indexOf(o??``)+1)%vr.length]??`#3f789e`;return(0,G.jsxs)(`div`,{className:`frame`,style:{"--frame":o},children:[(0,G.jsxs)(`div`,{className:`frame-head`,children:[a?(0,G.jsx)(hr,{title:i,label:S(`Name of the group`),done:e=>{M.setState({renaming:null}),e!==null&&e!==i&&s({title:e})}}):(0,G.jsx)(`span`,{className:`frame-title`,onDoubleClick:()=>M.setState({renaming:e}),children:i}),(0,G.jsx)(`span`,{className:`frame-tools nodrag`,children:[[`Rename`,()=>M.setState({renaming:e})],[`Colour`,()=>s({color:c})],[`Fit`,()=>{let e=Xn(qn(D(),n),x());e&&s({bounding:[...e]})}],[`Select its nodes`,()=>M.setState({selected:new Set(qn(D(),n).map(b))})],[`Ungroup`,()=>E({kind:`group`,place:r,group:null})]].map(([e,t])=>(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`{{words}}: group {{title}}`,{words:S(e),title:i}),onClick:t,children:S(e)},e))})]}),(0,G.jsx)(Be,{className:`resize`,minWidth:120,minHeight:80})]})}),br={curved:e=>He(e)[0],hidden:e=>He(e)[0],straight:e=>be(e)[0],stepped:e=>_e(e)[0]},xr=[],Sr=(0,z.memo)(function(e){let{id:t,selected:n,source:r,target:i,style:a,interactionWidth:o,sourcePosition:s,targetPosition:c}=e,l=Ln(e=>e.linkStyle),u=w(e=>e.doc.root),d=M(e=>e.selected.has(r)||e.selected.has(i)),[f,p]=(0,z.useState)(null),m=D().links.find(e=>String(e.id)===t),ee=m&&u?rt(D(),m):xr;if(l===`hidden`&&!n&&!d)return null;let te=ee.map(e=>f?.id===e.id?f.at:e.pos),ne=[[e.sourceX,e.sourceY],...te,[e.targetX,e.targetY]],re=ne.slice(1).map(([e,t],n)=>{let[r,i]=ne[n]??[0,0];return br[l]({sourceX:r,sourceY:i,targetX:e,targetY:t,sourcePosition:s,targetPosition:c})}).join(` `);return(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(ue,{id:t,path:re,style:a,interactionWidth:o}),ee.map((e,t)=>(0,G.jsx)(Cr,{point:e,at:te[t]??e.pos,hue:a?.stroke,live:p},e.id))]})});function Cr({point:e,at:t,hue:n,live:r}){let i=fe(),a=e=>{let{x:t,y:n}=i.screenToFlowPosition({x:e.clientX,y:e.clientY});return[Math.round(t),Math.round(n)]};return(0,G.jsx)(`circle`,{className:`reroute nopan nodrag`,"data-reroute":e.id,cx:t[0],cy:t[1],r:7,fill:n,onPointerDown:e=>{e.stopPropagation(),e.currentTarget.setPointerCapture(e.pointerId)},onPointerMove:t=>{t.currentTarget.hasPointerCapture(t.pointerId)&&r({id:e.id,at:a(t)})},onPointerUp:t=>{let n=a(t);r(null),(n[0]!==e.pos[0]||n[1]!==e.pos[1])&&E({kind:`moveReroute`,id:e.id,pos:n})},onDoubleClick:t=>{t.stopPropagation(),E({kind:`removeReroute`,id:e.id})}})}var wr=(e,t)=>({node:e,output:Number(t.slice(4))}),Tr=(e,t)=>({node:e,input:t.slice(3)});function Er(e){return!e.source||!e.target||!e.sourceHandle||!e.targetHandle?null:{from:wr(e.source,e.sourceHandle),to:Tr(e.target,e.targetHandle)}}function Dr(e){let t=Er(e);return t!==null&&_(D(),x(),t.from,t.to).ok}function Or(e){e&&_(D(),x(),e.from,e.to).ok&&E({kind:`link`,...e})}function kr(e){let[t,n]=[e.fromHandle,e.toHandle];if(!t?.id||!n?.id)return;if(t.type===n.type){A([`An output goes to an input, not to another output.`,`An input takes an output, not another input.`][t.type===`source`?0:1]??``,`error`);return}let[r,i]=t.type===`source`?[t,n]:[n,t],a=_(D(),x(),wr(r.nodeId,r.id??``),Tr(i.nodeId,i.id??``));a.ok||A(a.reason,`error`)}function Ar(e,t){let n=`from`in e?{from:e.from,to:Xe(D(),x(),e.from,t)}:{from:Qe(D(),x(),e.to,t),to:e.to};if(n.from&&n.to){E({kind:`link`,from:n.from,to:n.to});return}let r=g(D(),t);r&&t!==(`from`in e?e.from.node:e.to.node)&&A(`${k(r,v(x(),r).title)} has no ${`from`in e?`input that takes this output`:`output that this input takes`}.`,`error`)}var jr={MODEL:[`var(--hue-1)`,`square`],CONDITIONING:[`var(--hue-2)`,`diamond`],LATENT:[`var(--hue-3)`,`circle`],IMAGE:[`var(--hue-4)`,`rounded`],MASK:[`var(--hue-5)`,`half`],VAE:[`var(--hue-6)`,`triangle`],CLIP:[`var(--hue-7)`,`triangle`],INT:[`var(--hue-8)`,`circle`],FLOAT:[`var(--hue-8)`,`diamond`],STRING:[`var(--hue-8)`,`rounded`],BOOLEAN:[`var(--hue-8)`,`half`],COMBO:[`var(--hue-8)`,`square`],"*":[`var(--hue-0)`,`ring`]};function q(e){let t=jr[e];if(t)return t;let n=0;for(let t of e)n=(n*31+t.charCodeAt(0))%997;return[`var(--hue-${n%8+1})`,`ring`]}var Mr=.32,Nr=e=>e.transform[2]<Mr,Pr=(e,t)=>e.isOutput||t.preview!==void 0||t.images!==void 0||t.texts!==void 0||e.inputs.some(Ze),Fr=(0,z.memo)(function({id:e,selected:t}){let n=w(t=>g(t.doc,e)),r=T(e=>e.definitions),i=L(e=>e.active),a=w(e=>Ot(e.outer)),o=R(t=>rn(t,i,a+e)),s=Pe(Nr);if(!n)return null;let c=v(r,n),l=!r.has(n.type),u=P(c,n,Pr(c,o)),d=[`node`,t?`is-selected`:``,o.state?`is-${o.state}`:``,l?`is-missing`:``,at(n)===2?`is-muted`:``,at(n)===4?`is-bypassed`:``,s?`is-far`:``,n.type===`Reroute`?`is-reroute`:``],f=typeof n.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(n.color)?{"--tint":n.color}:{};return(0,G.jsxs)(`div`,{className:d.filter(Boolean).join(` `),style:f,onDrop:t=>Kr(t,e,c),onDoubleClick:t=>{c.subgraph&&t.target.closest(`.sockets-row, .far-title`)&&_t(e)},children:[!s&&n.type!==`Reroute`&&(0,G.jsx)(Lr,{id:e,node:n,title:k(n,c.title),run:o}),s&&(0,G.jsx)(`span`,{className:`far-title`,children:k(n,c.title)}),(0,G.jsx)(Rr,{id:e,shape:c,layout:u}),!s&&!Ct(n)&&n.type!==`Reroute`&&(0,G.jsx)(zr,{id:e,node:n,shape:c,layout:u,run:o,isMissing:l}),!s&&o.errors&&o.errors.length>0&&(0,G.jsx)(Yr,{id:e,run:o,shape:c}),t&&!Ct(n)&&n.type!==`Reroute`&&(0,G.jsx)(Be,{className:`resize`,minWidth:220,minHeight:60})]})}),Ir={queued:`waiting`,running:`running`,finished:`done`,cached:`unchanged, taken from the last run`,error:`failed`};function Lr({id:e,node:t,title:n,run:r}){let i=M(t=>t.renaming===e),a=Ct(t),o=r.state===`running`&&r.max?Math.min(1,(r.value??0)/r.max):0,s=x().get(t.type)?.subgraph!==void 0;return(0,G.jsxs)(`header`,{className:`node-header`,children:[(0,G.jsx)(`button`,{type:`button`,className:`icon nodrag`,"aria-label":S(a?`Expand {{title}}`:`Collapse {{title}}`,{title:n}),"aria-expanded":!a,onClick:()=>E({kind:`flag`,nodes:[e],flag:`collapsed`,on:!a}),children:a?(0,G.jsx)(oe,{size:14}):(0,G.jsx)(ae,{size:14})}),i?(0,G.jsx)(hr,{title:n,label:S(`Name of the node`),done:t=>{M.setState({renaming:null}),t!==null&&t!==n&&E({kind:`patch`,nodes:[e],fields:{title:t}})}}):(0,G.jsx)(`span`,{className:`node-title`,onDoubleClick:()=>M.setState({renaming:e}),children:n}),s&&(0,G.jsx)(`button`,{type:`button`,className:`icon nodrag`,"aria-label":S(`Open the subgraph {{title}}`,{title:n}),title:S(`Open the subgraph`),onClick:()=>_t(e),children:(0,G.jsx)(De,{size:13})}),$e(t)&&(0,G.jsx)(te,{size:12,"aria-label":S(`pinned`)}),r.state===`running`?(0,G.jsxs)(`svg`,{className:`ring`,viewBox:`0 0 20 20`,role:`progressbar`,"aria-label":S(`{{title}}: progress`,{title:n}),"aria-valuenow":Math.round(o*100),"aria-valuemin":0,"aria-valuemax":100,children:[(0,G.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`}),(0,G.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`,className:`ring-part`,pathLength:100,strokeDasharray:`${o*100} 100`})]}):r.state&&(0,G.jsx)(`span`,{className:`glyph glyph-${r.state}`,role:`img`,"aria-label":S(Ir[r.state]??``),title:S(Ir[r.state]??``)}),r.state===`running`&&r.max!==void 0&&r.max>1&&(0,G.jsx)(`span`,{className:`steps`,children:`${r.value??0}/${r.max}`}),o>0&&(0,G.jsx)(`span`,{className:`bar`,style:{transform:`scaleX(${o})`}})]})}function Rr({id:e,shape:n,layout:r}){let i=M(e=>e.pending),a=w(e=>e.doc.links),o=T(e=>e.definitions),s=D(),c=a&&y(s,e),l=(t,n,r)=>{if(!i)return``;let a=`from`in i?i.from:{node:e,output:r},c=`to`in i?i.to:{node:e,input:n};return`from`in i==(t===`out`)?`is-dim`:_(s,o,a,c).ok?`is-fit`:`is-dim`};return(0,G.jsxs)(G.Fragment,{children:[n.inputs.filter(e=>r.inputs.has(e.name)).map(e=>{let[n,i]=q(e.type),a=c.has(e.name)?`is-linked`:e.widget?`is-quiet`:e.optional?`is-open`:``;return(0,G.jsx)(t,{id:`in:${e.name}`,type:`target`,position:he.Left,className:`socket shape-${i} ${a} ${l(`in`,e.name,0)}`,title:`${e.name}: ${e.type}`,style:{top:r.inputs.get(e.name),"--hue":n}},`in:${e.name}`)}),n.outputs.map((e,n)=>{let[i,a]=q(e.type);return(0,G.jsx)(t,{id:`out:${n}`,type:`source`,position:he.Right,className:`socket shape-${a} ${l(`out`,``,n)}`,title:`${e.name}: ${e.type}`,style:{top:r.outputs[n],"--hue":i}},`out:${n}`)})]})}function zr({id:e,node:t,shape:n,layout:r,run:i,isMissing:a}){let o=yt(n,t),s=w(t=>y(t.doc,e)),c=k(t,n.title);return(0,G.jsxs)(G.Fragment,{children:[r.rows.map(r=>r.kind===`sockets`?(0,G.jsx)(Vr,{row:r,shape:n},`s${r.y}`):(0,G.jsx)(Ur,{id:e,row:t.type===`PrimitiveNode`?Br(r,e):r,title:c,isLinked:s.has(r.input.name),value:o[r.kind===`control`?Je(r.input.name):r.input.name]??null},`${r.kind}:${r.input.name}`)),a&&(0,G.jsx)(`p`,{className:`missing-note`,style:{top:r.picture.y||40},children:S(`This type is not installed here. Its values and links are kept.`)}),r.picture.height>0&&(0,G.jsx)(qr,{id:e,run:i,shape:n,values:o,title:c,top:r.picture.y,height:r.picture.height})]})}function Br(e,t){let n=ut(D(),t)[0],r=n&&g(D(),n.to),i=r&&v(x(),r).inputs.find(e=>e.name===n.input);return i?{...e,input:{...e.input,choices:i.choices,options:{...i.options,...e.input.options}}}:e}function Vr({row:e,shape:t}){return(0,G.jsxs)(`div`,{className:`row sockets-row`,style:{top:e.y},children:[(0,G.jsx)(`span`,{title:Hr(e.input),children:e.input?.name}),(0,G.jsx)(`span`,{children:e.output===null?``:t.outputs[e.output]?.name})]})}var Hr=e=>typeof e?.options.tooltip==`string`?e.options.tooltip:void 0;function Ur({id:e,row:t,value:n,isLinked:r,title:i}){let{input:a}=t,o={top:t.y,height:t.height};if(t.kind===`upload`)return(0,G.jsx)(`div`,{className:`row`,style:o,children:(0,G.jsx)(Gr,{id:e,input:a,title:i})});if(t.kind===`control`)return(0,G.jsxs)(`div`,{className:`row`,style:o,children:[(0,G.jsx)(`span`,{className:`row-label`,children:S(`after a run`)}),(0,G.jsx)(mr,{node:e,input:a,value:n,label:S(`{{title}}: {{name}} after a run`,{title:i,name:a.name})})]});let s=a.widget===`text`&&a.options.multiline===!0;return(0,G.jsxs)(`div`,{className:`row ${s?`row-text`:``}`,style:o,title:Hr(a),children:[!s&&(0,G.jsx)(`span`,{className:`row-label`,children:a.name}),(0,G.jsx)(cr,{node:e,input:a,value:n,label:`${i}: ${a.name}`,isLinked:r})]})}async function Wr(e,t,n){if(n)try{let r=await Gt(n);await sn(),E({kind:`value`,node:e,name:t.name,value:r})}catch(e){A(e instanceof Error?e.message:String(e),`error`)}}function Gr({id:e,input:t,title:n}){return(0,G.jsxs)(`label`,{className:`button nodrag upload`,children:[S(`Choose a picture…`),(0,G.jsx)(`input`,{type:`file`,accept:`image/*`,className:`hidden`,"aria-label":S(`{{title}}: choose a picture`,{title:n}),onChange:n=>void Wr(e,t,n.target.files?.[0])})]})}function Kr(e,t,n){let r=n.inputs.find(Ze),i=e.dataTransfer.files[0];r&&i?.type.startsWith(`image/`)&&(e.preventDefault(),e.stopPropagation(),Wr(t,r,i))}function qr({id:e,run:t,shape:n,values:r,title:i,top:a,height:o}){let s=n.inputs.find(Ze),c=s?r[s.name]:void 0,l=s?.choices.includes(c)||String(c).endsWith(`]`),u=c&&l?[`./view?${new URLSearchParams({filename:String(c),type:`input`}).toString()}`]:[],d=t.images??u;return(0,G.jsxs)(`div`,{className:`picture nodrag`,style:{top:a,height:o},children:[t.preview&&(0,G.jsx)(`img`,{src:t.preview,alt:S(`{{title}}: how far it is`,{title:i}),decoding:`async`,draggable:!1}),!t.preview&&d.map((e,t)=>(0,G.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":S(`{{title}}: picture {{at}} of {{count}}, show it large`,{title:i,at:t+1,count:d.length}),onClick:()=>M.setState({lightbox:{urls:d,at:t}}),children:(0,G.jsx)(`img`,{src:e,alt:``,decoding:`async`,draggable:!1})},e)),u.length>0&&(0,G.jsx)(`button`,{type:`button`,className:`button small picture-mask`,"aria-label":S(`{{title}}: edit the mask`,{title:i}),onClick:()=>F({kind:`mask`,node:e}),children:S(`Edit the mask`)}),t.texts?.map(e=>(0,G.jsx)(`pre`,{className:`nowheel`,children:e},e)),!t.preview&&d.length===0&&!t.texts&&(0,G.jsx)(`span`,{className:`faint`,children:S(`Run to see the result`)})]})}var Jr=8;function Yr({id:e,run:t,shape:n}){return(0,G.jsx)(`div`,{className:`node-errors nodrag nowheel`,children:t.errors?.map(t=>(0,G.jsxs)(`div`,{children:[(0,G.jsxs)(`p`,{children:[t.input&&(0,G.jsxs)(`strong`,{children:[t.input,`: `]}),t.message]}),t.choices.length>0&&n.inputs.some(e=>e.name===t.input)&&(0,G.jsxs)(`p`,{className:`choices`,children:[Xr(t.choices,t.message).map(n=>(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>t.input&&E({kind:`value`,node:e,name:t.input,value:n}),children:n},n)),t.choices.length>Jr&&(0,G.jsx)(`span`,{className:`faint`,children:S(`and {{count}} more`,{count:t.choices.length-Jr})})]}),t.details.length>80&&t.input===null&&(0,G.jsxs)(`details`,{children:[(0,G.jsx)(`summary`,{children:S(`Details`)}),(0,G.jsx)(`pre`,{children:t.details})]})]},t.input+t.message))})}var Xr=(e,t)=>[...e].sort((e,n)=>Number(t.includes(`'${n}'?`))-Number(t.includes(`'${e}'?`))).slice(0,Jr);function Zr(e,t,n){let r=k(e,t.title),i=y(D(),String(e.id)).size;return[r,r===t.title?``:t.title,S(`links in: {{links}}`,{links:i}),S(`links out: {{links}}`,{links:ut(D(),String(e.id)).length}),at(e)===2?S(`muted`):``,at(e)===4?S(`bypassed`):``,n.state?S(Ir[n.state]??``):``].filter(Boolean).join(`, `)}var Qr=()=>[0,0],$r=e=>{Qr=e},ei=()=>Qr(),J=()=>[...M.getState().selected].filter(e=>g(D(),e)),Y=()=>J().length>0,ti=()=>J().length>1,ni=()=>J().length===1,X=()=>J().flatMap(e=>g(D(),e)??[]),ri=``,ii=`easel/clip`;function ai(){let{nodes:e,links:t}=qe(D(),mi());ri=mt({[ii]:1,nodes:e,links:t}),navigator.clipboard?.writeText(ri).catch(()=>void 0)}function oi(e){try{let t=Et(e);return St(t)&&t[ii]===1?t:null}catch{return null}}function si(e,t){let n=oi(e);if(!n)return!1;let{change:r,keys:i}=ct(D(),n,[40,40],t);return E(r),N(i),!0}async function ci(e){!si(await navigator.clipboard?.readText?.().catch(()=>ri)||ri,e)&&!si(ri,e)&&A(S(`There is nothing to paste.`))}function li(){let{change:e,keys:t}=ct(D(),qe(D(),mi()),[40,40],!0);E(e),N(t)}var ui=()=>Y()||M.getState().selectedLinks.size>0;function di(){let e=mi();e.length===0?(E({kind:`unlink`,links:[...M.getState().selectedLinks]}),M.setState({selectedLinks:new Set})):(E({kind:`remove`,nodes:e}),N([]),A(S(`Deleted: {{count}}. Undo brings it back.`,{count:e.length})))}function fi(e){let t=X().every(t=>at(t)===e);E({kind:`patch`,nodes:J(),fields:{mode:t?0:e}})}function pi(){let e=Xn(X(),x());e&&(E({kind:`add`,nodes:[],links:[],groups:[{title:S(`Group`),bounding:[...e],color:`#3f789e`,font_size:24,flags:{}}]}),N([]))}var mi=()=>J().filter(e=>!Mt(e));function hi(){let{change:e,key:t}=At(D(),x(),mi(),S(`Subgraph`));E(e),N([t]),A(S(`The selection is a subgraph now: open it from its header, or with {{keys}}.`,{keys:W(`Shift+Enter`)}))}function gi(){let e=pt(D(),x(),J()[0]??``);e&&(E(e.change),N(e.keys))}var _i=()=>ni()&&X().some(e=>x().get(e.type)?.subgraph);function vi(e){let t=X().filter(e=>!$e(e)).map(e=>{let t=v(x(),e),{width:n,height:r}=P(t,e,t.isOutput),[i,a]=C(e);return{key:b(e),x:i,y:a,width:n,height:r}}),n=Object.fromEntries(e(t).map(({key:e,x:t,y:n})=>[e,[Math.round(t),Math.round(n)]]));E({kind:`move`,to:n})}var yi=(e,t)=>Math.min(...e.map(t)),bi=(e,t)=>Math.max(...e.map(t));function xi(e,t,n){let r=[...e].sort((e,n)=>e[t]-n[t]),[i,a]=[yi(e,e=>e[t]),bi(e,e=>e[t]+e[n])],o=r.reduce((e,t)=>e+t[n],0),s=Math.max(16,(a-i-o)/Math.max(1,r.length-1)),c=i;return r.map(e=>{let r={...e,[t]:c};return c+=e[n]+s,r})}var Si={left:e=>e.map(t=>({...t,x:yi(e,e=>e.x)})),right:e=>e.map(t=>({...t,x:bi(e,e=>e.x+e.width)-t.width})),top:e=>e.map(t=>({...t,y:yi(e,e=>e.y)})),bottom:e=>e.map(t=>({...t,y:bi(e,e=>e.y+e.height)-t.height}))},Ci=()=>[...Object.entries(Si).map(([e,t])=>({id:`edit.align.${e}`,title:`Align at the ${e}`,keys:[],when:ti,perform:()=>vi(t)})),{id:`edit.spread.across`,title:`Spread evenly from left to right`,keys:[],when:ti,perform:()=>vi(e=>xi(e,`x`,`width`))},{id:`edit.spread.down`,title:`Spread evenly from top to bottom`,keys:[],when:ti,perform:()=>vi(e=>xi(e,`y`,`height`))}];function wi(){let e=[...M.getState().selectedLinks].flatMap(e=>{let t=D().links.find(t=>t.id===e),[n,r]=[t&&g(D(),t.from),t&&g(D(),t.to)];if(!n||!r)return[];let[i,a]=[C(n),C(r)];return[{kind:`reroute`,link:e,pos:[(i[0]+a[0])/2+130,(i[1]+a[1])/2]}]});E({kind:`all`,changes:e})}function Ti(e,t){let n=Object.fromEntries(X().filter(e=>!$e(e)).map(n=>{let[r,i]=C(n);return[b(n),[r+e,i+t]]}));E({kind:`move`,to:n},`nudge ${Object.keys(n).join()}`)}var Ei=10,Di=()=>[[`Left`,-10,0],[`Right`,Ei,0],[`Up`,0,-10],[`Down`,0,Ei]].map(([e,t,n])=>({id:`edit.move${e}`,title:`Move selection ${e.toLowerCase()}`,keys:[`Arrow${e}`],when:Y,perform:()=>Ti(t,n)})),Oi=[{id:`edit.undo`,title:`Undo`,keys:[`Mod+Z`],when:()=>w.temporal.getState().pastStates.length>0,perform:xt,inText:!0},{id:`edit.redo`,title:`Redo`,keys:[`Mod+Shift+Z`,`Mod+Y`],when:()=>w.temporal.getState().futureStates.length>0,perform:ht,inText:!0},{id:`edit.add`,title:`Add node…`,keys:[`Shift+A`,`Insert`],when:U,perform:()=>I({kind:`nodes`,at:null,pending:null})},{id:`edit.connect`,title:`Connect…`,keys:[`C`],when:ni,perform:()=>I({kind:`connect`,node:J()[0]??``})},{id:`edit.disconnect`,title:`Remove all links of the selection`,keys:[`Shift+X`],when:Y,perform:()=>{let e=D();E({kind:`unlink`,links:J().flatMap(t=>[...y(e,t).values(),...ut(e,t)].map(e=>e.id))})}},{id:`edit.delete`,title:`Delete`,keys:[`Delete`,`Backspace`],when:ui,perform:di},{id:`edit.copy`,title:`Copy`,keys:[`Mod+C`],when:Y,perform:ai},{id:`edit.cut`,title:`Cut`,keys:[`Mod+X`],when:Y,perform:()=>{ai(),di()}},{id:`edit.paste`,title:`Paste`,keys:[`Mod+V`],when:U,perform:()=>ci(!1)},{id:`edit.pasteLinked`,title:`Paste with incoming links`,keys:[`Mod+Shift+V`],when:U,perform:()=>ci(!0)},{id:`edit.duplicate`,title:`Duplicate`,keys:[`Mod+D`],when:Y,perform:li},{id:`edit.selectAll`,title:`Select all`,keys:[`Mod+A`],when:U,perform:()=>N(D().nodes.map(b))},{id:`edit.selectNone`,title:`Select nothing`,keys:[`Escape`],when:Y,perform:()=>N([])},{id:`edit.mute`,title:`Mute`,keys:[`Mod+M`],when:Y,perform:()=>fi(2)},{id:`edit.bypass`,title:`Bypass`,keys:[`Mod+B`],when:Y,perform:()=>fi(4)},{id:`edit.collapse`,title:`Collapse or expand`,keys:[`Alt+C`],when:Y,perform:()=>E({kind:`flag`,nodes:J(),flag:`collapsed`,on:!X().every(Ct)})},{id:`edit.pin`,title:`Pin or unpin`,keys:[`P`],when:Y,perform:()=>E({kind:`flag`,nodes:J(),flag:`pinned`,on:!X().every($e)})},{id:`edit.rename`,title:`Rename`,keys:[`F2`],when:ni,perform:()=>M.setState({renaming:J()[0]??null})},{id:`edit.mask`,title:`Edit the mask of the picture…`,keys:[],when:()=>ni()&&X().some(e=>v(x(),e).inputs.some(Ze)),perform:()=>F({kind:`mask`,node:J()[0]??``})},{id:`edit.group`,title:`Group selection`,keys:[`Mod+G`],when:Y,perform:pi},{id:`edit.subgraph`,title:`Make a subgraph of the selection`,keys:[`Mod+Shift+G`],when:()=>mi().length>0,perform:hi},{id:`edit.unpack`,title:`Unpack the subgraph`,keys:[],when:_i,perform:gi},{id:`edit.enter`,title:`Open the subgraph`,keys:[`Shift+Enter`],when:_i,perform:()=>{_t(J()[0]??``)?M.setState(e=>({selected:new Set,fit:e.fit+1})):A(S(`This subgraph is open already.`))}},{id:`edit.leave`,title:`Go back to the outer graph`,keys:[`Shift+Escape`],when:()=>w.getState().outer.length>0,perform:()=>{bt(w.getState().outer.length-1),M.setState(e=>({selected:new Set,fit:e.fit+1}))}},{id:`edit.reroute`,title:`Add a point to the chosen link`,keys:[],when:()=>M.getState().selectedLinks.size>0,perform:wi},...Ci(),{id:`edit.arrange`,title:`Arrange automatically`,keys:[`Shift+L`],when:()=>D().nodes.length>0,perform:()=>{let e=J().length>1?new Set(J()):void 0;E({kind:`move`,to:Rt(D(),x(),e)}),M.setState(e=>({fit:e.fit+1}))}},...Di()],ki=`{
  "last_node_id": 7,
  "last_link_id": 9,
  "nodes": [
    {
      "id": 1,
      "type": "CheckpointLoaderSimple",
      "pos": [
        0.0,
        0.0
      ],
      "size": [
        270.0,
        128.0
      ],
      "flags": {},
      "order": 0,
      "mode": 0,
      "inputs": [
        {
          "name": "ckpt_name",
          "type": "COMBO",
          "link": null,
          "widget": {
            "name": "ckpt_name"
          }
        }
      ],
      "outputs": [
        {
          "name": "MODEL",
          "type": "MODEL",
          "links": [
            3
          ],
          "slot_index": 0
        },
        {
          "name": "CLIP",
          "type": "CLIP",
          "links": [
            1,
            2
          ],
          "slot_index": 1
        },
        {
          "name": "VAE",
          "type": "VAE",
          "links": [
            8
          ],
          "slot_index": 2
        }
      ],
      "properties": {
        "Node name for S&R": "CheckpointLoaderSimple"
      },
      "widgets_values": [
        "standin.safetensors"
      ]
    },
    {
      "id": 2,
      "type": "CLIPTextEncode",
      "pos": [
        340.0,
        0.0
      ],
      "size": [
        270.0,
        190.0
      ],
      "flags": {},
      "order": 2,
      "mode": 0,
      "inputs": [
        {
          "name": "text",
          "type": "STRING",
          "link": null,
          "widget": {
            "name": "text"
          }
        },
        {
          "name": "clip",
          "type": "CLIP",
          "link": 1
        }
      ],
      "outputs": [
        {
          "name": "CONDITIONING",
          "type": "CONDITIONING",
          "links": [
            4
          ],
          "slot_index": 0
        }
      ],
      "properties": {
        "Node name for S&R": "CLIPTextEncode"
      },
      "widgets_values": [
        "a photo of an astronaut riding a horse on mars"
      ],
      "title": "Positive prompt"
    },
    {
      "id": 3,
      "type": "CLIPTextEncode",
      "pos": [
        340.0,
        262.0
      ],
      "size": [
        270.0,
        190.0
      ],
      "flags": {},
      "order": 3,
      "mode": 0,
      "inputs": [
        {
          "name": "text",
          "type": "STRING",
          "link": null,
          "widget": {
            "name": "text"
          }
        },
        {
          "name": "clip",
          "type": "CLIP",
          "link": 2
        }
      ],
      "outputs": [
        {
          "name": "CONDITIONING",
          "type": "CONDITIONING",
          "links": [
            5
          ],
          "slot_index": 0
        }
      ],
      "properties": {
        "Node name for S&R": "CLIPTextEncode"
      },
      "widgets_values": [
        ""
      ],
      "title": "Negative prompt"
    },
    {
      "id": 4,
      "type": "EmptyLatentImage",
      "pos": [
        0.0,
        200.0
      ],
      "size": [
        270.0,
        128.0
      ],
      "flags": {},
      "order": 1,
      "mode": 0,
      "inputs": [
        {
          "name": "width",
          "type": "INT",
          "link": null,
          "widget": {
            "name": "width"
          }
        },
        {
          "name": "height",
          "type": "INT",
          "link": null,
          "widget": {
            "name": "height"
          }
        },
        {
          "name": "batch_size",
          "type": "INT",
          "link": null,
          "widget": {
            "name": "batch_size"
          }
        }
      ],
      "outputs": [
        {
          "name": "LATENT",
          "type": "LATENT",
          "links": [
            6
          ],
          "slot_index": 0
        }
      ],
      "properties": {
        "Node name for S&R": "EmptyLatentImage"
      },
      "widgets_values": [
        512,
        512,
        1
      ]
    },
    {
      "id": 5,
      "type": "KSampler",
      "pos": [
        680.0,
        0.0
      ],
      "size": [
        270.0,
        296.0
      ],
      "flags": {},
      "order": 4,
      "mode": 0,
      "inputs": [
        {
          "name": "model",
          "type": "MODEL",
          "link": 3
        },
        {
          "name": "seed",
          "type": "INT",
          "link": null,
          "widget": {
            "name": "seed"
          }
        },
        {
          "name": "steps",
          "type": "INT",
          "link": null,
          "widget": {
            "name": "steps"
          }
        },
        {
          "name": "cfg",
          "type": "FLOAT",
          "link": null,
          "widget": {
            "name": "cfg"
          }
        },
        {
          "name": "sampler_name",
          "type": "COMBO",
          "link": null,
          "widget": {
            "name": "sampler_name"
          }
        },
        {
          "name": "scheduler",
          "type": "COMBO",
          "link": null,
          "widget": {
            "name": "scheduler"
          }
        },
        {
          "name": "positive",
          "type": "CONDITIONING",
          "link": 4
        },
        {
          "name": "negative",
          "type": "CONDITIONING",
          "link": 5
        },
        {
          "name": "latent_image",
          "type": "LATENT",
          "link": 6
        },
        {
          "name": "denoise",
          "type": "FLOAT",
          "link": null,
          "widget": {
            "name": "denoise"
          }
        }
      ],
      "outputs": [
        {
          "name": "LATENT",
          "type": "LATENT",
          "links": [
            7
          ],
          "slot_index": 0
        }
      ],
      "properties": {
        "Node name for S&R": "KSampler"
      },
      "widgets_values": [
        42,
        "fixed",
        50,
        7.5,
        "plms",
        "leading",
        1.0
      ]
    },
    {
      "id": 6,
      "type": "VAEDecode",
      "pos": [
        1020.0,
        0.0
      ],
      "size": [
        270.0,
        80.0
      ],
      "flags": {},
      "order": 5,
      "mode": 0,
      "inputs": [
        {
          "name": "samples",
          "type": "LATENT",
          "link": 7
        },
        {
          "name": "vae",
          "type": "VAE",
          "link": 8
        }
      ],
      "outputs": [
        {
          "name": "IMAGE",
          "type": "IMAGE",
          "links": [
            9
          ],
          "slot_index": 0
        }
      ],
      "properties": {
        "Node name for S&R": "VAEDecode"
      },
      "widgets_values": []
    },
    {
      "id": 7,
      "type": "SaveImage",
      "pos": [
        1360.0,
        0.0
      ],
      "size": [
        270.0,
        80.0
      ],
      "flags": {},
      "order": 6,
      "mode": 0,
      "inputs": [
        {
          "name": "images",
          "type": "IMAGE",
          "link": 9
        },
        {
          "name": "filename_prefix",
          "type": "STRING",
          "link": null,
          "widget": {
            "name": "filename_prefix"
          }
        }
      ],
      "outputs": [],
      "properties": {
        "Node name for S&R": "SaveImage"
      },
      "widgets_values": [
        "txt2img"
      ]
    }
  ],
  "links": [
    [
      1,
      1,
      1,
      2,
      1,
      "CLIP"
    ],
    [
      2,
      1,
      1,
      3,
      1,
      "CLIP"
    ],
    [
      3,
      1,
      0,
      5,
      0,
      "MODEL"
    ],
    [
      4,
      2,
      0,
      5,
      6,
      "CONDITIONING"
    ],
    [
      5,
      3,
      0,
      5,
      7,
      "CONDITIONING"
    ],
    [
      6,
      4,
      0,
      5,
      8,
      "LATENT"
    ],
    [
      7,
      5,
      0,
      6,
      0,
      "LATENT"
    ],
    [
      8,
      1,
      2,
      6,
      1,
      "VAE"
    ],
    [
      9,
      6,
      0,
      7,
      0,
      "IMAGE"
    ]
  ],
  "groups": [],
  "config": {},
  "extra": {},
  "version": 0.4
}
`;function Ai(){let e=Object.assign(document.createElement(`input`),{type:`file`,accept:`.json,.png,.webp,application/json,image/png,image/webp`,multiple:!0});e.onchange=()=>{for(let t of e.files??[])ln(t)},e.click()}function ji(){let e=Zt();e&&kn(e.id)}function Mi(e){let{tabs:t,active:n}=L.getState(),r=t[(t.findIndex(e=>e.id===n)+e+t.length)%t.length];r&&nn(r.id)}var Ni=[{id:`file.new`,title:`New workflow`,keys:[`Alt+N`],when:U,perform:()=>void Sn(),inText:!0},{id:`file.template`,title:`Start from text to image`,keys:[],when:U,perform:()=>wn(ki,`Text to image.json`)},{id:`file.open`,title:`Open…`,keys:[`Mod+O`],when:U,perform:Ai,inText:!0},{id:`file.save`,title:`Save`,keys:[`Mod+S`],when:U,perform:yn,inText:!0},{id:`file.saveAs`,title:`Save as…`,keys:[`Mod+Shift+S`],when:U,perform:()=>F({kind:`save`}),inText:!0},{id:`file.export`,title:`Export as a file`,keys:[`Mod+Alt+S`],when:U,perform:pn,inText:!0},{id:`file.exportApi`,title:`Export for programs (API form)`,keys:[],when:U,perform:xn},{id:`file.close`,title:`Close this workflow`,keys:[`Alt+W`],when:U,perform:ji,inText:!0},{id:`file.rename`,title:`Rename this workflow`,keys:[],when:U,perform:()=>M.setState({renaming:`tab`})},{id:`file.nextTab`,title:`Next workflow`,keys:[`Alt+PageDown`],when:U,perform:()=>Mi(1),inText:!0},{id:`file.previousTab`,title:`Previous workflow`,keys:[`Alt+PageUp`],when:U,perform:()=>Mi(-1),inText:!0}],Pi=e=>e.then(()=>void 0,e=>A(e instanceof Error?e.message:String(e),`error`)),Fi=[{id:`run.queue`,title:`Run`,keys:[`Mod+Enter`],when:U,perform:()=>dn(),inText:!0},{id:`run.front`,title:`Run before all others`,keys:[`Mod+Shift+Enter`],when:U,perform:()=>dn(!0),inText:!0},{id:`run.interrupt`,title:`Stop the running job`,keys:[`Mod+Alt+Enter`],when:()=>R.getState().remaining>0,perform:()=>Pi(Yt()),inText:!0},{id:`run.sweep`,title:`Sweep: run with several values…`,keys:[],when:U,perform:()=>F({kind:`sweep`})},{id:`run.pause`,title:`Pause the queue`,keys:[],when:U,perform:()=>Pi(qt(!0))},{id:`run.resume`,title:`Resume the queue`,keys:[],when:U,perform:()=>Pi(qt(!1))},{id:`run.clear`,title:`Clear all waiting jobs`,keys:[],when:()=>R.getState().remaining>0,perform:()=>Pi(En())}],Ii=()=>{let[e]=M.getState().selected;return e===void 0?void 0:g(D(),e)},Li=[{id:`view.commands`,title:`All commands…`,keys:[`Mod+K`,`Mod+Shift+P`],when:U,perform:()=>I({kind:`commands`}),inText:!0},{id:`view.find`,title:`Find a node…`,keys:[`Mod+F`],when:U,perform:()=>I({kind:`find`})},{id:`view.fit`,title:`Show the whole graph`,keys:[`.`],when:U,perform:()=>M.setState(e=>({fit:e.fit+1}))},{id:`view.workflows`,title:`Workflows panel`,keys:[`W`],when:U,perform:()=>j(`workflows`)},{id:`view.models`,title:`Models panel`,keys:[`B`],when:U,perform:()=>j(`models`)},{id:`view.properties`,title:`Properties of the selection`,keys:[`I`],when:U,perform:()=>zt(`properties`)},{id:`view.form`,title:`Form view: the inputs that matter`,keys:[`F`],when:U,perform:()=>zt(`form`)},{id:`view.timing`,title:`What ran, why, and how long it took`,keys:[`T`],when:U,perform:()=>zt(`timing`)},{id:`view.nodeHelp`,title:`What is this node?`,keys:[`H`],when:()=>Ii()!==void 0,perform:()=>F({kind:`help`,type:Ii()?.type??``})},{id:`view.diff`,title:`What changed since it was saved?`,keys:[],when:U,perform:()=>{let e=Zt();e&&F({kind:`diff`,other:vt(e.saved),name:e.name})}},{id:`view.tour`,title:`Show the tour`,keys:[],when:U,perform:()=>V({toured:!1})},{id:`view.settings`,title:`Settings…`,keys:[`Mod+,`],when:U,perform:()=>F({kind:`settings`,page:`general`}),inText:!0},{id:`view.outline`,title:`Outline panel`,keys:[`O`],when:U,perform:()=>j(`outline`)},{id:`view.queue`,title:`Queue and history panel`,keys:[`Q`],when:U,perform:()=>j(`queue`)},{id:`view.gallery`,title:`Pictures panel`,keys:[`G`],when:U,perform:()=>j(`gallery`)},{id:`view.problems`,title:`Problems panel`,keys:[`E`],when:U,perform:()=>j(`problems`)},{id:`view.minimap`,title:`Show or hide the map`,keys:[`M`],when:U,perform:()=>V({minimap:!B().minimap})},{id:`view.snap`,title:`Snap to the grid, or not`,keys:[],when:U,perform:()=>V({snap:!B().snap})},{id:`view.help`,title:`Keyboard shortcuts`,keys:[`?`],when:U,perform:()=>F({kind:`settings`,page:`keys`})},...[`system`,`dark`,`light`].map(e=>({id:`view.theme.${e}`,title:`Colours: ${e}`,keys:[],when:U,perform:()=>V({theme:e})}))],Z=[...Fi,...Oi,...Ni,...Li],Ri=null;function zi(){let{keys:e}=B();if(Ri?.keys===e)return Ri.map;let t=new Map,n=Z.filter(t=>t.id in e);for(let e of[...n,...Z])for(let n of H(e))t.has(n)||t.set(n,e);return Ri={keys:e,map:t},t}var Bi=(e,t)=>Z.filter(n=>n.id!==e&&H(n).includes(t)),Vi=e=>{let t=Z.find(t=>t.id===e);if(!t)throw Error(`there is no command ${e}`);return t};function Hi(e){if(e.isComposing||e.defaultPrevented||Pt())return null;let t=Wn(e),n=zi().get(t);if(!n?.when())return null;if(Gn(e.target))return n.inText?n:null;let r=[`Space`,`Enter`].includes(t)||t.startsWith(`Arrow`),i=e.target instanceof Element?e.target:null;return r&&i?.closest(`button, a, input, [role=listbox], [role=menu], [role=tablist], [role=tree]`)?null:n}function Ui(e){return!Pt()&&zi().get(Wn(e))?.inText===!0}function Wi(){let e=e=>{let t=Hi(e);t?(e.preventDefault(),t.perform()):Ui(e)&&e.preventDefault()};return addEventListener(`keydown`,e),()=>removeEventListener(`keydown`,e)}var Gi={"edit.mute":`Mute`,"edit.bypass":`Bypass`,"edit.duplicate":`Duplicate`,"edit.group":`Group`,"edit.subgraph":`Subgraph`,"view.nodeHelp":`Help`,"edit.delete":`Delete`};function Ki(){let e=M(e=>e.selected),t=M(e=>e.pending),n=[...e];return n.length===0||t?null:(0,G.jsx)(Me,{nodeId:n,isVisible:!0,position:he.Top,offset:10,children:(0,G.jsx)(`div`,{className:`toolbox`,role:`toolbar`,"aria-label":S(`Selection`),children:Object.entries(Gi).map(([e,t])=>{let n=Z.find(t=>t.id===e);if(!n?.when())return null;let r=H(n)[0];return(0,G.jsx)(`button`,{type:`button`,className:`button small`,title:r?`${S(n.title)} (${W(r)})`:S(n.title),onClick:()=>void n.perform(),children:S(t)},e)})})})}var Q=14,qi={easel:Fr,frame:yr},Ji={link:Sr},Yi=[10,10],Xi=.05,Zi={padding:.12,maxZoom:1},Qi={hideAttribution:!1},$i=null,ea=[`Shift`,`Control`,`Meta`],ta={};function na(){return(0,G.jsx)(Le,{children:(0,G.jsx)(ra,{})})}function ra(){let e=fe(),[t,n]=(0,z.useState)(null),r=la(t),i=pa(),a=M(e=>e.fit),o=M(e=>e.locate),{minimap:s,snap:c,theme:l,wheel:u}=Ln(),d=(0,z.useRef)(null),f=(0,z.useRef)(r);f.current=r;let p=(0,z.useRef)(new Map);(0,z.useEffect)(()=>$r(()=>{let t=d.current?.getBoundingClientRect()??new DOMRect,{x:n,y:r}=e.screenToFlowPosition({x:t.x+t.width/2-130,y:t.y+t.height/2-100});return[Math.round(n),Math.round(r)]}),[e]),(0,z.useEffect)(()=>{let t=requestAnimationFrame(()=>oa(e,f.current,d.current));return()=>cancelAnimationFrame(t)},[a,e]),(0,z.useEffect)(()=>{let t=o&&e.getNode(o.node);t&&e.setCenter(t.position.x+(t.width??0)/2,t.position.y+(t.height??0)/2,{zoom:Math.max(e.getZoom(),.8),duration:ca()})},[o,e]);let m=(0,z.useCallback)(e=>{let t=new Set(M.getState().selected),r={},i=!1;for(let n of e)if(n.type===`select`&&!n.id.startsWith(`group:`))i=!0,n.selected?t.add(n.id):t.delete(n.id);else if(n.type===`position`&&n.dragging&&n.position)r[n.id]=[n.position.x,n.position.y];else if(n.type===`dimensions`&&n.resizing===!0&&n.dimensions){n.id.startsWith(`group:`)&&ia(n.id,n.dimensions);let e=g(D(),n.id);e&&E({kind:`resize`,node:n.id,pos:C(e),size:[Math.round(n.dimensions.width),Math.round(n.dimensions.height)]},`resize ${n.id}`)}i&&N(t),Object.keys(r).length&&n(e=>({...e,...r,...ga(r,p.current)}))},[]),ee=(0,z.useCallback)((e,t)=>{p.current=t.id.startsWith(`group:`)?ha(t.id):new Map},[]),te=(0,z.useCallback)(()=>{n(e=>(e&&queueMicrotask(()=>_a(e)),null))},[]),re=(0,z.useCallback)(e=>{let t=new Set(M.getState().selectedLinks);for(let n of e)n.type===`select`&&(n.selected?t.add(Number(n.id)):t.delete(Number(n.id)));M.setState({selectedLinks:t})},[]),ie=(0,z.useCallback)(e=>Or(Er(e)),[]),h=(0,z.useCallback)((e,t)=>{let n=Er(t);n&&_(D(),x(),n.from,n.to).ok&&E({kind:`all`,changes:[{kind:`unlink`,links:[Number(e.id)]},{kind:`link`,...n}]})},[]),ae=(0,z.useCallback)((e,t,n,r)=>{r.toHandle?r.isValid||kr(r):E({kind:`unlink`,links:[Number(t.id)]})},[]),oe=(0,z.useRef)(!1),se=(0,z.useCallback)((e,{nodeId:t,handleId:n,handleType:r})=>{t&&n&&M.setState({pending:r===`source`?{from:wr(t,n)}:{to:Tr(t,n)}})},[]),le=(0,z.useCallback)((t,n)=>{let{pending:r}=M.getState();if(M.setState({pending:null}),!r||n.isValid||oe.current)return;if(n.toHandle)return kr(n);let i=`changedTouches`in t?t.changedTouches[0]:t,a=(document.elementFromPoint(i?.clientX??0,i?.clientY??0)?.closest(`.react-flow__node`))?.dataset.id;if(a&&!a.startsWith(`group:`))return Ar(r,a);let{x:o,y:s}=e.screenToFlowPosition({x:i?.clientX??0,y:i?.clientY??0});I({kind:`nodes`,at:[Math.round(o),Math.round(s)],pending:r})},[e]),ue=(0,z.useCallback)(t=>{if(!(t.target instanceof Element)||!t.target.classList.contains(`react-flow__pane`))return;let{x:n,y:r}=e.screenToFlowPosition({x:t.clientX,y:t.clientY});I({kind:`nodes`,at:[Math.round(n),Math.round(r)],pending:null})},[e]),de=(0,z.useCallback)((t,n)=>{let{x:r,y:i}=e.screenToFlowPosition({x:t.clientX,y:t.clientY});E({kind:`reroute`,link:Number(n.id),pos:[Math.round(r),Math.round(i)]})},[e]),pe=(0,z.useCallback)(e=>{let t=e.target,n=t.classList.contains(`react-flow__node`)?t.dataset.id:void 0;n&&t.matches(`:focus-visible`)&&!n.startsWith(`group:`)&&N([n])},[]);return(0,G.jsx)(`div`,{className:`canvas`,ref:d,onDoubleClick:ue,onFocus:pe,onPointerDownCapture:aa,children:(0,G.jsxs)(Te,{nodes:r,edges:i,nodeTypes:qi,edgeTypes:Ji,onEdgeDoubleClick:de,onNodesChange:m,onEdgesChange:re,onNodeDragStart:ee,onNodeDragStop:te,onSelectionDragStop:te,onConnect:ie,onConnectStart:se,onConnectEnd:le,isValidConnection:Dr,onReconnectStart:()=>{oe.current=!0},onReconnect:h,onReconnectEnd:(e,t,n,r)=>{ae(e,t,n,r),oe.current=!1},colorMode:l,minZoom:Xi,maxZoom:4,snapToGrid:c,snapGrid:Yi,deleteKeyCode:$i,multiSelectionKeyCode:ea,selectionMode:ke.Partial,edgesFocusable:!1,disableKeyboardA11y:!0,zoomOnDoubleClick:!1,zoomOnScroll:u===`zoom`,panOnScroll:u===`pan`,onlyRenderVisibleElements:!0,connectionLineType:ze.Bezier,connectionRadius:24,reconnectRadius:12,proOptions:Qi,defaultViewport:{x:40,y:60,zoom:.8},"aria-label":S(`Workflow graph`),children:[(0,G.jsx)(ce,{gap:20}),(0,G.jsx)(Ki,{}),(0,G.jsx)(ne,{showInteractive:!1,fitViewOptions:Zi,position:`bottom-left`}),s&&(0,G.jsx)(ve,{nodeColor:sa,pannable:!0,zoomable:!0,ariaLabel:S(`Map of the graph`),position:`bottom-right`})]})})}function ia(e,{width:t,height:n}){let r=_r(e),i=D().groups[r];if(!i)return;let[a,o]=Kn(i),s=[a,o,Math.round(t),Math.round(n)];E({kind:`group`,place:r,group:{...i,bounding:s}},`resize ${e}`)}function aa(e){e.target instanceof Element&&e.target.classList.contains(`react-flow__pane`)&&Gn(document.activeElement)&&document.activeElement.blur()}function oa(e,t,n){if(t.length===0||!n)return;let r=Math.min(...t.map(e=>e.position.x)),i=Math.min(...t.map(e=>e.position.y)),a=Math.max(...t.map(e=>e.position.x+(e.width??0))),o=Math.max(...t.map(e=>e.position.y+(e.height??0))),s={x:r,y:i,width:a-r,height:o-i};e.setViewport(Ie(s,n.clientWidth,n.clientHeight,Xi,Zi.maxZoom,Zi.padding))}var sa=e=>e.type===`frame`?`transparent`:`var(--faint)`,ca=()=>matchMedia(`(prefers-reduced-motion: reduce)`).matches?0:160;function la(e){let t=w(e=>e.doc),n=T(e=>e.definitions),r=M(e=>e.selected),i=L(e=>e.active),a=R(e=>e.nodes[i]),o=w(e=>Ot(e.outer)),s=(0,z.useRef)(new Map);return(0,z.useMemo)(()=>{let i=new Map;for(let c of t.nodes){let t=b(c),l=a?.[o+t]??ta,u=e?.[t]??C(c),d=r.has(t),f=s.current.get(t),p=f&&f.node===c&&ua(f.run,l)&&f.selected===d&&f.definitions===n&&f.at[0]===u[0]&&f.at[1]===u[1];i.set(t,p?f:{node:c,run:l,selected:d,at:u,definitions:n,made:da(c,l,d,u,n)})}return s.current=i,[...t.groups.map((t,n)=>ma(t,n,e)),...[...i.values()].map(e=>e.made)]},[t.nodes,t.groups,n,r,a,e,o])}var ua=(e,t)=>e===t||e.state===t.state&&!e.preview==!t.preview&&!e.images==!t.images&&!e.texts==!t.texts;function da(e,t,n,r,i){let a=v(i,e),o=P(a,e,Pr(a,t));return{id:b(e),type:`easel`,position:{x:r[0],y:r[1]},data:{},selected:n,width:o.width,height:o.height,draggable:!$e(e),handles:fa(o),ariaLabel:Zr(e,a,t),...e.type===`Reroute`?{}:{dragHandle:`.node-header, .far-title, .sockets-row, .row-label`}}}var fa=e=>[...[...e.inputs].map(([e,t])=>({id:`in:${e}`,type:`target`,position:he.Left,x:-7,y:t-Q/2,width:Q,height:Q})),...e.outputs.map((t,n)=>({id:`out:${n}`,type:`source`,position:he.Right,x:e.width-Q/2,y:t-Q/2,width:Q,height:Q}))];function pa(){let e=w(e=>e.doc),t=T(e=>e.definitions),n=M(e=>e.selectedLinks),r=(0,z.useRef)(new Map);return(0,z.useMemo)(()=>{let i=new Map;for(let a of e.links){let[o]=q(String(a.type??`*`)),s=g(e,a.from),c=g(e,a.to);if(!s||!c||!v(t,s).outputs[a.output]||!v(t,c).inputs.some(e=>e.name===a.input))continue;let l=r.current.get(a.id),u=`out:${a.output}`,d=`in:${a.input}`,f=n.has(a.id),p=l?.source===a.from&&l.target===a.to&&l.sourceHandle===u&&l.targetHandle===d&&l.selected===f;i.set(a.id,p?l:{id:String(a.id),type:`link`,source:a.from,target:a.to,sourceHandle:u,targetHandle:d,selected:f,style:{stroke:o},interactionWidth:14,reconnectable:!0})}return r.current=i,[...i.values()]},[e,t,n])}function ma(e,t,n){let[r,i,a,o]=Kn(e),s=`${gr}${t}`,c=n?.[s]??[r,i];return{id:s,type:`frame`,position:{x:c[0],y:c[1]},data:{group:e},width:a,height:o,zIndex:-1,selectable:!1,focusable:!1,dragHandle:`.frame-title`,handles:[]}}function ha(e){let t=D().groups[_r(e)];if(!t)return new Map;let[n,r]=Kn(t);return new Map(qn(D(),t).map(e=>{let[t,i]=C(e);return[b(e),[t-n,i-r]]}))}function ga(e,t){let n=Object.entries(e).find(([e])=>e.startsWith(gr))?.[1];return n?Object.fromEntries([...t].map(([e,[t,r]])=>[e,[n[0]+t,n[1]+r]])):{}}function _a(e){let t=Object.entries(e).filter(([e])=>!e.startsWith(gr)).map(([e,[t,n]])=>[e,[Math.round(t),Math.round(n)]]),n=Object.entries(e).filter(([e])=>e.startsWith(gr)).flatMap(([e,[t,n]])=>{let r=_r(e),i=D().groups[r];if(!i)return[];let[,,a,o]=Kn(i);return[{kind:`group`,place:r,group:{...i,bounding:[Math.round(t),Math.round(n),a,o]}}]});E({kind:`all`,changes:[{kind:`move`,to:Object.fromEntries(t)},...n]})}function va(){let e=w(e=>e.outer),t=T(e=>e.definitions),{tabs:n,active:r}=L();if(e.length===0)return null;let i=e.map(e=>{let n=g(e.doc,e.node);return n?k(n,t.get(e.id)?.title??S(`Subgraph`)):S(`Subgraph`)}),a=[n.find(e=>e.id===r)?.name??``,...i];return(0,G.jsx)(`nav`,{className:`crumbs`,"aria-label":S(`Open subgraphs`),children:a.map((t,n)=>(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-current":n===e.length?`page`:void 0,onClick:()=>{bt(n),M.setState(e=>({selected:new Set,fit:e.fit+1}))},children:t},n))})}var ya=(0,z.lazy)(()=>O(()=>import(`./Compare.js`),__vite__mapDeps([0]),import.meta.url)),ba=(0,z.lazy)(()=>O(()=>import(`./MaskEditor.js`),__vite__mapDeps([0]),import.meta.url)),xa=(0,z.lazy)(()=>O(()=>import(`./Diff.js`),__vite__mapDeps([0]),import.meta.url)),Sa=(0,z.lazy)(()=>O(()=>import(`./NodeHelp.js`),__vite__mapDeps([0]),import.meta.url)),Ca=(0,z.lazy)(()=>O(()=>import(`./Sweep.js`),__vite__mapDeps([0]),import.meta.url)),wa=(0,z.lazy)(()=>O(()=>import(`./Settings.js`),__vite__mapDeps([0]),import.meta.url)),Ta=(0,z.lazy)(()=>O(()=>import(`./SaveDialog.js`),__vite__mapDeps([0]),import.meta.url)),Ea={save:()=>(0,G.jsx)(Ta,{}),settings:({page:e})=>(0,G.jsx)(wa,{page:e}),help:({type:e})=>(0,G.jsx)(Sa,{type:e}),sweep:()=>(0,G.jsx)(Ca,{}),diff:({other:e,name:t})=>(0,G.jsx)(xa,{other:e,name:t}),mask:({node:e})=>(0,G.jsx)(ba,{node:e}),compare:({urls:e})=>(0,G.jsx)(ya,{urls:e})},Da=new Set([`mask`,`compare`,`diff`,`sweep`,`settings`]);function Oa(){let e=M(e=>e.dialog);return(0,G.jsx)(Ge,{open:e!==null,onOpenChange:e=>!e&&F(null),children:(0,G.jsxs)(pe,{children:[(0,G.jsx)(i,{className:`backdrop`}),(0,G.jsxs)(We,{className:`dialog dialog-${e?.kind} ${e&&Da.has(e.kind)?`is-wide`:``}`,children:[e&&(0,G.jsx)(z.Suspense,{fallback:(0,G.jsx)(Ue,{children:`…`}),children:Ea[e.kind](e)}),(0,G.jsx)(ie,{className:`icon-button dialog-close`,"aria-label":S(`Close`),children:(0,G.jsx)(h,{size:16})})]})]})})}var ka=e=>St(e.root.extra)?e.root.extra:{},Aa=e=>{let{easel:t}=ka(e);return St(t)?t:{}},ja=e=>{let{form:t}=Aa(e);return ft(t)?t.map(String):null},Ma=(e,t,n)=>ja(e)?.includes(`${t}.${n}`)??!1;function Na(e,t,n){let r=`${t}.${n}`,i=ja(e)??[],a=i.includes(r)?i.filter(e=>e!==r):[...i,r],{form:o,...s}=Aa(e),{easel:c,...l}=ka(e),u=a.length?{...s,form:a}:s;return{...e.root,extra:Object.keys(u).length?{...l,easel:u}:l}}var Pa=[`text`,`image`,`seed`,`noise_seed`,`steps`,`cfg`,`width`,`height`,`denoise`,`batch_size`,`ckpt_name`];function Fa(e,t){let n=(n,r)=>{let i=v(t,n).inputs.find(e=>e.name===r&&e.widget!==null);return i&&!y(e,b(n)).has(r)?[{node:n,input:i}]:[]},r=ja(e);return r?r.flatMap(t=>{let r=t.indexOf(`.`),i=g(e,t.slice(0,r));return i?n(i,t.slice(r+1)):[]}):Pa.flatMap(r=>e.nodes.filter(e=>!t.get(e.type)?.isVirtual).flatMap(e=>n(e,r)))}function Ia({node:e,input:t,prefix:n}){let r=T(e=>e.definitions),i=b(e),a=w(e=>y(e.doc,i).has(t.name)),o=v(r,e),s=yt(o,e),c=`${n} ${k(e,o.title)}: ${t.name}`,l=typeof t.options.tooltip==`string`?t.options.tooltip:void 0;return(0,G.jsxs)(`div`,{className:`value-row ${t.options.multiline===!0?`is-long`:``}`,title:l,children:[(0,G.jsx)(`span`,{className:`row-label`,children:t.name}),(0,G.jsx)(cr,{node:i,input:t,value:s[t.name]??null,label:c,isLinked:a}),lt(t)&&!a&&(0,G.jsx)(mr,{node:i,input:t,value:s[Je(t.name)]??null,label:S(`{{label}} after a run`,{label:c})})]})}var La={"":`None`,"#3f789e":`Blue`,"#3f8a5a":`Green`,"#a1763a":`Amber`,"#a04848":`Red`,"#8a5d9e":`Violet`},Ra={0:`Runs`,2:`Muted`,4:`Bypassed`};function za(){let e=M(e=>e.selected),t=w(e=>e.doc),n=[...e].flatMap(e=>g(t,e)??[]);return n.length===0?(0,G.jsx)(`p`,{className:`faint`,children:S(`Choose a node to see what it is made of.`)}):n.slice(0,20).map(e=>(0,G.jsx)(Ba,{node:e},b(e)))}function Ba({node:e}){let t=T(e=>e.definitions),n=w(e=>e.doc),r=w(e=>e.outer.length>0),i=b(e),a=v(t,e),o=k(e,a.title),s=(e,t)=>E({kind:`patch`,nodes:[i],fields:e},t);return(0,G.jsxs)(`section`,{className:`form`,"aria-label":o,children:[(0,G.jsxs)(`label`,{children:[S(`Name`),(0,G.jsx)(`input`,{className:`field`,value:typeof e.title==`string`?e.title:``,placeholder:a.title,onChange:e=>s({title:e.target.value},`title ${i}`)})]}),(0,G.jsxs)(`p`,{className:`faint`,children:[`${a.title} · ${i}`,a.deprecated?` · ${S(`outdated`)}`:``,` `,(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>F({kind:`help`,type:e.type}),children:S(`What is this?`)})]}),(0,G.jsxs)(`div`,{className:`pair`,children:[(0,G.jsxs)(`label`,{children:[S(`Colour`),(0,G.jsx)(`select`,{className:`field`,value:typeof e.color==`string`?e.color:``,onChange:e=>s({color:e.target.value}),children:Object.entries(La).map(([e,t])=>(0,G.jsx)(`option`,{value:e,children:S(t)},e))})]}),(0,G.jsxs)(`label`,{children:[S(`Mode`),(0,G.jsx)(`select`,{className:`field`,value:at(e),onChange:e=>s({mode:Number(e.target.value)}),children:Object.entries(Ra).map(([e,t])=>(0,G.jsx)(`option`,{value:e,children:S(t)},e))})]})]}),a.inputs.filter(e=>e.widget).map(t=>(0,G.jsxs)(`div`,{className:`with-pin`,children:[(0,G.jsx)(Ia,{node:e,input:t,prefix:S(`Properties of`)}),!r&&(0,G.jsx)(`input`,{type:`checkbox`,"aria-label":S(`Show {{name}} of {{title}} in the form`,{name:t.name,title:o}),title:S(`Show in the form`),checked:Ma(n,i,t.name),onChange:()=>E({kind:`root`,root:Na(n,i,t.name)})})]},t.name))]})}var Va=(0,z.lazy)(()=>O(()=>import(`./FormView.js`),__vite__mapDeps([0]),import.meta.url)),Ha=(0,z.lazy)(()=>O(()=>import(`./Timing.js`),__vite__mapDeps([0]),import.meta.url)),Ua={properties:[`Properties`,()=>(0,G.jsx)(za,{})],form:[`Form`,()=>(0,G.jsx)(Va,{})],timing:[`What ran, and why`,()=>(0,G.jsx)(Ha,{})]};function Wa(){let e=M(e=>e.inspector);if(!e)return null;let[t,n]=Ua[e];return(0,G.jsxs)(`aside`,{className:`inspector`,"aria-label":S(t),children:[(0,G.jsxs)(`div`,{className:`side-head`,children:[(0,G.jsx)(`h2`,{children:S(t)}),(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Close {{name}}`,{name:S(t)}),onClick:()=>M.setState({inspector:null}),children:(0,G.jsx)(h,{size:16})})]}),(0,G.jsx)(`div`,{className:`side-body`,children:(0,G.jsx)(z.Suspense,{fallback:(0,G.jsx)(`p`,{className:`faint`,children:`…`}),children:n()})})]})}var Ga=/\.(png|webp|jpe?g|gif)$/i;async function Ka(){let e=await Vt(`internal/files/output`);return(ft(e)?e.map(String):[]).filter(e=>Ga.test(e)).map(e=>Kt({filename:e,subfolder:``,type:`output`}))}var qa=e=>new URLSearchParams(e.split(`?`)[1]).get(`filename`)??``,Ja=e=>Vt(e.replace(/^\.\//,``),{method:`DELETE`});async function Ya(e){let t=await fetch(e);if(!t.ok)throw Error(S(`{{name}} cannot be read.`,{name:qa(e)}));return new File([await t.blob()],qa(e))}function Xa(){let e=e=>e!==void 0&&v(x(),e).inputs.some(Ze);return[...M.getState().selected].map(e=>g(D(),e)).find(e)??D().nodes.find(e)}async function Za(e){let t=await Gt(await Ya(e));await sn();let n=Xa(),r=x().get(`LoadImage`);if(n){let e=v(x(),n).inputs.find(Ze);e&&E({kind:`value`,node:b(n),name:e.name,value:t}),N([b(n)])}else if(r){let e=Math.max(0,...D().nodes.map(e=>ft(e.pos)?Number(e.pos[1]):0)),n=nt(r,jt(D(),r,[0,e+420],[270,320]),`image`,t);E({kind:`add`,nodes:[n],links:[]}),N([b(n)])}A(S(`{{name}} is now an input of this workflow.`,{name:t}))}var Qa=()=>M.setState({lightbox:null}),$a=e=>M.setState(({lightbox:t})=>{if(!t)return{};let{urls:n,at:r}=t;return{lightbox:{urls:n,at:(r+e+n.length)%n.length}}}),eo=e=>{e.key===`ArrowRight`&&$a(1),e.key===`ArrowLeft`&&$a(-1)};function to(){let e=M(e=>e.lightbox);return(0,G.jsx)(Ge,{open:e!==null,onOpenChange:e=>!e&&Qa(),children:(0,G.jsxs)(pe,{children:[(0,G.jsx)(i,{className:`backdrop`}),(0,G.jsx)(We,{className:`lightbox`,onKeyDown:eo,children:e&&(0,G.jsx)(no,{urls:e.urls,at:e.at})})]})})}function no({urls:e,at:t}){let[n,r]=(0,z.useState)(!1),i=e[t]??``,a=qa(i),o=i.includes(`type=output`),s=e=>void e().catch(_n),c=async()=>{await Ja(i),R.setState(e=>({turn:e.turn+1})),A(S(`{{name}} was deleted.`,{name:a}));let n=e.filter(e=>e!==i);M.setState({lightbox:n.length?{urls:n,at:Math.min(t,n.length-1)}:null})};return(0,G.jsxs)(G.Fragment,{children:[(0,G.jsxs)(`div`,{className:`lightbox-head`,children:[(0,G.jsx)(Ue,{className:`lightbox-title`,children:a}),(0,G.jsx)(`span`,{className:`faint`,children:e.length>1?S(`{{at}} of {{count}}`,{at:t+1,count:e.length}):``}),(0,G.jsxs)(`div`,{className:`lightbox-tools`,children:[(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>s(async()=>ln(await Ya(i)).then(Qa)),children:S(`Open its workflow`)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>s(()=>Za(i).then(Qa)),children:S(`Send to input`)}),e.length>1&&(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>{Qa(),F({kind:`compare`,urls:[i,e[(t+1)%e.length]??i]})},children:S(`Compare with the next`)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-pressed":n,onClick:()=>r(!n),children:S(`Real size`)}),(0,G.jsx)(`a`,{className:`button small`,href:i,download:a,children:S(`Download`)}),o&&(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>s(c),children:S(`Delete`)})]}),(0,G.jsx)(ie,{className:`icon-button`,"aria-label":S(`Close the picture`),children:(0,G.jsx)(h,{size:16})})]}),(0,G.jsxs)(`div`,{className:`lightbox-body`,children:[(0,G.jsxs)(`div`,{className:`lightbox-stage ${n?`is-real`:``}`,children:[e.length>1&&(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Previous picture`),onClick:()=>$a(-1),children:(0,G.jsx)(l,{})}),(0,G.jsx)(`img`,{src:i,alt:a}),e.length>1&&(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Next picture`),onClick:()=>$a(1),children:(0,G.jsx)(oe,{})})]}),(0,G.jsx)(ro,{url:i},i)]})]})}function ro({url:e}){let[t,n]=(0,z.useState)(null);return(0,z.useEffect)(()=>{let t=!1;return Ya(e).then(Qt).then(e=>!t&&n(io(e.prompt)),()=>!t&&n([])),()=>{t=!0}},[e]),(0,G.jsxs)(`section`,{className:`recipe`,"aria-label":S(`What it was made with`),children:[(0,G.jsx)(`h3`,{children:S(`What it was made with`)}),t?.length===0&&(0,G.jsx)(`p`,{className:`faint`,children:S(`The file does not say.`)}),t?.map(e=>(0,G.jsxs)(`dl`,{children:[(0,G.jsx)(`dt`,{children:e.node}),e.values.map(([e,t])=>(0,G.jsxs)(`dd`,{children:[(0,G.jsx)(`span`,{className:`faint`,children:e}),` `,t]},e))]},e.node))]})}function io(e){let t;try{t=Et(e??`null`)}catch{return[]}return et(t)?Object.entries(t).flatMap(([e,t])=>{let n=t,r=Object.entries(n.inputs??{}).filter(([,e])=>!ft(e)).map(([e,t])=>[e,String(t)]);return r.length?[{node:`${n._meta?.title??n.class_type} (${e})`,values:r}]:[]}):[]}var ao=[`edit.connect`,`edit.rename`,`edit.collapse`,`edit.mute`,`edit.bypass`,`edit.pin`,`edit.group`,`edit.subgraph`,`edit.enter`,`edit.unpack`,`edit.duplicate`,`edit.copy`,`edit.cut`,`edit.disconnect`,`edit.delete`],oo=[`edit.add`,`edit.paste`,`edit.selectAll`,`edit.arrange`,`edit.leave`,`view.fit`,`edit.undo`,`edit.redo`];function so({children:e}){let t=M(e=>e.selected.size>0);return(0,G.jsxs)(Oe,{children:[(0,G.jsx)(me,{className:`stage`,onContextMenu:e=>{let t=e.target instanceof Element?e.target.closest(`.react-flow__node`)?.dataset.id:void 0;!t||t.startsWith(`group:`)?N([]):M.getState().selected.has(t)||N([t])},children:e}),(0,G.jsx)(Fe,{children:(0,G.jsx)(Re,{className:`positioner`,children:(0,G.jsx)(Ae,{className:`menu`,"aria-label":S(t?`Selection`:`Canvas`),children:(t?ao:oo).map(Vi).map(e=>(0,G.jsxs)(Ce,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,G.jsx)(`span`,{children:S(e.title)}),(0,G.jsx)(`kbd`,{children:W(H(e)[0]??``)})]},e.id))})})})]})}var co=100,lo=()=>I(null);function uo(){let e=M(e=>e.palette);return(0,G.jsx)(Ge,{open:e!==null,onOpenChange:e=>!e&&lo(),children:(0,G.jsxs)(pe,{children:[(0,G.jsx)(i,{className:`backdrop`}),(0,G.jsx)(We,{className:`palette`,children:e&&(0,G.jsx)(fo,{palette:e},e.kind)})]})})}function fo({palette:e}){let[t,n]=(0,z.useState)(null),r=(0,z.useMemo)(()=>po(e,t,n),[e,t]),[i,a]=(0,z.useState)(``),[o,s]=(0,z.useState)(0),c=(0,z.useId)(),l=(0,z.useRef)(null),u=(0,z.useRef)(null),d=(0,z.useMemo)(()=>new Ne(r.items,{keys:[{name:`title`,weight:3},{name:`note`,weight:1},{name:`more`,weight:1}],threshold:.35,ignoreLocation:!0}),[r]),f=(i?d.search(i).map(e=>e.item):r.items).slice(0,co);(0,z.useEffect)(()=>{a(``),s(0),l.current?.focus()},[t]),(0,z.useEffect)(()=>{u.current?.scrollIntoView({block:`nearest`})},[o]);let p=e=>{e&&e.choose()!==!0&&lo()};return(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(Ue,{className:`palette-title`,children:r.label}),(0,G.jsx)(`input`,{ref:l,className:`palette-field`,type:`text`,role:`combobox`,"aria-label":r.label,"aria-expanded":`true`,"aria-controls":c,autoComplete:`off`,spellCheck:!1,"aria-activedescendant":f[o]?`${c}-${o}`:void 0,value:i,onKeyDown:e=>{let t={ArrowDown:1,ArrowUp:-1,PageDown:8,PageUp:-8}[e.key];e.key===`Enter`&&!e.nativeEvent.isComposing?(e.preventDefault(),p(f[o])):t&&(e.preventDefault(),s(Math.max(0,Math.min(f.length-1,o+t))))},placeholder:S(`Type to search`),onChange:e=>{a(e.target.value),s(0)}}),(0,G.jsx)(`div`,{id:c,role:`listbox`,"aria-label":r.label,className:`palette-list`,children:f.map((e,t)=>(0,G.jsxs)(`div`,{id:`${c}-${t}`,ref:t===o?u:null,role:`option`,"aria-selected":t===o,tabIndex:-1,onClick:()=>p(e),onMouseMove:()=>s(t),children:[e.hue&&(0,G.jsx)(`span`,{className:`dot`,style:{background:e.hue}}),(0,G.jsx)(`span`,{className:`palette-name`,children:e.title}),(0,G.jsx)(`span`,{className:`palette-note`,children:e.note})]},e.id))}),f.length===0&&(0,G.jsx)(`p`,{className:`palette-none`,children:r.none})]})}function po(e,t,n){switch(e.kind){case`commands`:return{label:S(`Commands`),none:S(`No command is called that.`),items:Z.filter(e=>e.when()&&e.id!==`view.commands`).map(e=>({id:e.id,title:S(e.title),note:H(e).map(W).join(`  `),more:e.id,choose:()=>(lo(),e.perform(),!0)}))};case`nodes`:return{label:e.pending?S(`Add a node that fits`):S(`Add a node`),none:S(`No node is called that.`),items:mo(e.at,e.pending)};case`find`:return{label:S(`Find a node in this workflow`),none:S(`No node of this workflow is called that.`),items:D().nodes.map(e=>{let t=v(x(),e);return{id:b(e),title:k(e,t.title),note:`${e.type} · ${b(e)}`,more:``,choose:()=>Nt(b(e))}})};case`connect`:return t?{label:S(`To`),none:S(`Nothing in this workflow fits. Add a node for it first.`),items:yo(t)}:{label:S(`Connect`),none:S(`This node has no sockets.`),items:vo(e.node,n)}}}function mo(e,t){let n=D(),r=x(),i=t&&`from`in t?tt(n,r,t.from):null,a=t&&`to`in t?g(n,t.to.node):void 0,o=a&&t&&`to`in t?v(r,a).inputs.find(e=>e.name===t.to.input)?.type:void 0,s=e=>i===null?o===void 0||e.outputs.some(e=>ot(e.type,o)):e.inputs.some(e=>ot(i,e.type)),c=e=>i!==null&&e.inputs.some(e=>e.type===i&&!e.widget)?0:1;return[...r.values()].filter(e=>e.type!==`easel/inputs`&&e.type!==`easel/outputs`).filter(s).sort((e,t)=>c(e)-c(t)||e.title.localeCompare(t.title)).map(n=>({id:n.type,title:n.title,note:n.category,more:`${n.type} ${n.outputs.map(e=>e.type).join(` `)} ${n.description}`,hue:n.outputs[0]?q(n.outputs[0].type)[0]:`var(--faint)`,choose:()=>ho(n,e,t)}))}function ho(e,t,n){let r=D(),i=x(),a=jt(r,e,[0,0],[270,0]),{width:o,height:s}=P(e,a,e.isOutput),c=r.nodes.map(e=>{let t=v(i,e),n=P(t,e,t.isOutput);return{pos:C(e),size:[n.width,n.height]}}),l={...a,pos:[...t??It(c,[o,s],ei())],size:[o,s]},u={kind:`add`,nodes:[l],links:[]},d=st(r,u,i),f=b(l),p=n&&(`from`in n?n.from:Qe(d,i,n.to,f)),m=n&&(`to`in n?n.to:Xe(d,i,n.from,f));E(p&&m?{kind:`all`,changes:[u,{kind:`link`,from:p,to:m}]}:u),N([f]),_o(f)}var go=30;function _o(e,t=go){let n=document.querySelector(`.react-flow__node[data-id="${CSS.escape(e)}"]`),r=document.querySelector(`.palette`)!==null;n&&!r&&n.focus(),(!n||r||document.activeElement!==n)&&t>0&&setTimeout(()=>_o(e,t-1),30)}function vo(e,t){let n=g(D(),e);if(!n)return[];let r=v(x(),n),i=e=>(t(e),!0),a=y(D(),e);return[...r.outputs.map((t,n)=>({id:`out:${n}`,title:`${t.name} →`,note:`output, ${t.type}`,more:``,hue:q(t.type)[0],choose:()=>i({from:{node:e,output:n}})})),...r.inputs.map(t=>({id:`in:${t.name}`,title:`→ ${t.name||`input`}`,note:`input, ${t.type}${a.has(t.name)?`, linked`:``}`,more:``,hue:q(t.type)[0],choose:()=>i({to:{node:e,input:t.name}})}))]}function yo(e){let t=D(),n=x(),r=(e,t,n)=>()=>{E({kind:`link`,from:e,to:t}),A(S(`Linked: {{words}}.`,{words:n}))},i=[];for(let a of t.nodes){let o=b(a),s=v(n,a),c=k(a,s.title);if(`from`in e)for(let l of s.inputs){let s={node:o,input:l.name};if(!_(t,n,e.from,s).ok)continue;let u=y(t,o).has(l.name);i.push({id:`${o} ${l.name}`,title:`${c}: ${l.name}`,note:`${u?`replaces a link · `:``}${o}`,more:a.type,hue:q(l.type)[0],choose:r(e.from,s,`${c}, ${l.name}`)})}else s.outputs.forEach((s,l)=>{let u={node:o,output:l};_(t,n,u,e.to).ok&&i.push({id:`${o} ${l}`,title:`${c}: ${s.name}`,note:o,more:a.type,hue:q(s.type)[0],choose:r(u,e.to,`${c}, ${s.name}`)})})}return i}function bo(){let e=w(e=>e.doc),t=T(e=>e.definitions),n=M(e=>e.selected),r=L(e=>e.active),i=w(e=>Ot(e.outer)),a=R(e=>e.nodes[r]);if(e.nodes.length===0)return(0,G.jsx)(`p`,{className:`faint`,children:S(`This workflow is empty.`)});let o=e=>e?k(e,v(t,e).title):`?`;return(0,G.jsx)(`ol`,{className:`outline`,children:xo(e.nodes,t=>[...y(e,t).values()].map(e=>e.from)).map(r=>{let s=b(r),c=[...y(e,s).values()];return(0,G.jsxs)(`li`,{children:[(0,G.jsxs)(`button`,{type:`button`,"aria-pressed":n.has(s),onClick:()=>Nt(s),children:[o(r),` `,(0,G.jsx)(`span`,{className:`faint`,children:s}),(0,G.jsx)(`span`,{className:`hidden`,children:Zr(r,v(t,r),a?.[i+s]??{})})]}),c.length>0&&(0,G.jsx)(`ul`,{"aria-label":S(`Links into {{name}}`,{name:o(r)}),children:c.map(t=>(0,G.jsx)(`li`,{children:`${t.input||S(`input`)} ← ${o(g(e,t.from))}`},t.id))})]},s)})})}function xo(e,t){let n=new Map(e.map(e=>[b(e),e])),r=new Set,i=[];for(let e of n.keys()){let a=[[e,!1]];for(let e=a.pop();e;e=a.pop()){let[o,s]=e,c=n.get(o);s&&c?i.push(c):r.has(o)||(r.add(o),a.push([o,!0],...t(o).map(e=>[e,!1])))}}return i}function So(){let e=w(e=>e.doc),{definitions:t,isLoaded:n}=T(),r=L(e=>e.active),{nodes:i,problem:a}=R(),o=w(e=>Ot(e.outer)),s=n?vn(Tt()):[],c=n?e.nodes.flatMap(n=>{let r=t.get(n.type);if(!r||r.isVirtual||typeof n.mode==`number`&&[2,4].includes(n.mode))return[];let i=y(e,b(n));return r.inputs.filter(e=>!e.widget&&!e.optional&&!i.has(e.name)).map(e=>[n,e.name])}):[],l=Object.entries(i[r]??{}).filter(([e])=>e.startsWith(o)).flatMap(([e,t])=>(t.errors??[]).map(t=>[e.slice(o.length),t])).filter(([t])=>g(e,t)),u=e=>k(e,v(t,e).title),d=s.length+c.length+l.length===0;return(0,G.jsxs)(G.Fragment,{children:[d&&(0,G.jsx)(`p`,{className:`faint`,children:a??S(`Nothing stands in the way of a run.`)}),s.length>0&&(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(`h3`,{children:S(`Missing node types`)}),(0,G.jsx)(`ul`,{className:`problems`,children:s.map(t=>(0,G.jsxs)(`li`,{children:[(0,G.jsx)(`code`,{children:t}),` `,e.nodes.filter(e=>e.type===t).map(e=>(0,G.jsx)(Co,{node:b(e),name:u(e)},b(e)))]},t))})]}),c.length>0&&(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(`h3`,{children:S(`Inputs without a link`)}),(0,G.jsx)(`ul`,{className:`problems`,children:c.map(([e,t])=>(0,G.jsxs)(`li`,{children:[`${u(e)}: ${t}`,` `,(0,G.jsx)(Co,{node:b(e),name:u(e)})]},`${b(e)} ${t}`))})]}),l.length>0&&(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(`h3`,{children:S(`The last run`)}),(0,G.jsx)(`ul`,{className:`problems`,children:l.map(([t,n])=>{let r=g(e,t);return(0,G.jsxs)(`li`,{children:[`${r?u(r):t}${n.input?`, ${n.input}`:``}: ${n.message}`,` `,(0,G.jsx)(Co,{node:t,name:r?u(r):t})]},t+n.input+n.message)})})]})]})}var Co=({node:e,name:t})=>(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Locate {{name}} ({{node}})`,{name:t,node:e}),onClick:()=>Nt(e),children:S(`Locate`)});function wo(){let e=R(e=>e.turn),[t,n]=(0,z.useState)([]);return(0,z.useEffect)(()=>{let e=!1,t=setTimeout(()=>void Promise.all([Ht(),Ka()]).then(([t,r])=>{To=new Set(r),e||n(t)},()=>void 0),120);return()=>{e=!0,clearTimeout(t)}},[e]),t}var To=new Set,Eo=e=>e.includes(`type=output`)&&e.includes(`subfolder=&`),Do=e=>Object.values(e.outputs).flatMap(e=>an(e).images??[]).filter(e=>!Eo(e)||To.has(e)),Oo={running:[],pending:[],isPaused:!1};function ko(){let e=R(e=>e.turn),[t,n]=(0,z.useState)(Oo),r=wo();(0,z.useEffect)(()=>{let e=!1;return Promise.all([Jt(),hn()]).then(([t,r])=>!e&&n({...t,isPaused:r}),()=>void 0),()=>{e=!0}},[e]);let i=e=>void e.then(()=>R.setState(e=>({turn:e.turn+1})),_n),a=t.pending.length;return(0,G.jsxs)(G.Fragment,{children:[(0,G.jsxs)(`div`,{className:`tools`,children:[(0,G.jsxs)(`button`,{type:`button`,className:`button small`,onClick:()=>i(qt(!t.isPaused)),children:[t.isPaused?(0,G.jsx)(m,{size:12}):(0,G.jsx)(s,{size:12}),S(t.isPaused?`Resume the queue`:`Pause the queue`)]}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,disabled:a===0,onClick:()=>i(En()),children:S(`Clear all waiting`)})]}),t.isPaused&&(0,G.jsx)(`p`,{className:`notice`,children:S(`Paused: what runs will end, nothing more is started.`)}),(0,G.jsx)(`h3`,{children:S(`Running and waiting`)}),t.running.length+a===0&&(0,G.jsx)(`p`,{className:`faint`,children:S(`Nothing is running.`)}),(0,G.jsxs)(`ul`,{className:`jobs`,children:[t.running.map(e=>(0,G.jsx)(Ao,{job:e,stop:()=>i(Yt())},e.id)),t.pending.map((e,t)=>(0,G.jsxs)(`li`,{children:[(0,G.jsx)(`span`,{className:`glyph glyph-queued`}),` `,(0,G.jsx)(Mo,{job:e}),(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Move {{job}} up`,{job:$(e)}),disabled:t===0,onClick:()=>i(mn(e.id,t)),children:(0,G.jsx)(c,{size:14})}),(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Move {{job}} down`,{job:$(e)}),disabled:t===a-1,onClick:()=>i(mn(e.id,t+2)),children:(0,G.jsx)(d,{size:14})}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Remove {{job}}`,{job:$(e)}),onClick:()=>i(Ut([e.id])),children:S(`Remove`)})]},e.id))]}),(0,G.jsx)(`h3`,{children:S(`Ended`)}),(0,G.jsx)(`ul`,{className:`jobs`,children:r.map(e=>(0,G.jsx)(jo,{job:e,act:i},e.id))})]})}function Ao({job:e,stop:t}){let n=R(t=>Math.round(100*bn(t,t.jobs[e.id])));return(0,G.jsxs)(`li`,{children:[(0,G.jsx)(`span`,{className:`glyph glyph-running`}),(0,G.jsxs)(`span`,{className:`job-words`,children:[(0,G.jsx)(Mo,{job:e}),(0,G.jsx)(`progress`,{max:100,value:n,"aria-label":S(`Progress of {{job}}`,{job:$(e)})})]}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Stop {{job}}`,{job:$(e)}),onClick:t,children:S(`Stop`)})]})}function jo({job:e,act:t}){let n=e.status===`success`,r=$(e);return(0,G.jsxs)(`li`,{className:`job-ended`,children:[(0,G.jsx)(`span`,{className:`glyph glyph-${n?`finished`:`error`}`,role:`img`,"aria-label":S(n?`done`:`failed or stopped`)}),(0,G.jsx)(No,{job:e}),(0,G.jsxs)(`span`,{className:`job-words`,children:[(0,G.jsx)(Mo,{job:e}),e.message&&(0,G.jsx)(`span`,{className:`bad`,children:e.message}),(0,G.jsxs)(`span`,{className:`job-tools`,children:[(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Open the workflow of {{job}}`,{job:r}),onClick:()=>wn(mt(e.workflow),$(e)),children:S(`Open`)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Run {{job}} again`,{job:r}),onClick:()=>t(Xt(e.id)),children:S(`Again`)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Compare the workflow of {{job}} with the open one`,{job:r}),onClick:()=>F({kind:`diff`,other:e.workflow,name:r}),children:S(`Compare`)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Delete {{job}}`,{job:r}),onClick:()=>t($t([e.id])),children:S(`Delete`)})]})]})]})}var $=e=>S(`job {{id}}`,{id:e.id.slice(0,8)}),Mo=({job:e})=>(0,G.jsx)(`span`,{className:`job-name`,title:e.id,children:$(e)});function No({job:e}){let t=Do(e);return t[0]?(0,G.jsx)(`button`,{type:`button`,className:`thumb small`,"aria-label":S(`Show the pictures of {{job}}`,{job:$(e)}),onClick:()=>M.setState({lightbox:{urls:t,at:0}}),children:(0,G.jsx)(`img`,{src:`${t[0]}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})}):(0,G.jsx)(`span`,{className:`thumb-empty`})}function Po({text:e}){let t=T(e=>e.definitions),n=(0,z.useMemo)(()=>Fo(e,t),[e,t]);return n?(0,G.jsxs)(`svg`,{className:`graph-thumb`,viewBox:n.view,"aria-hidden":`true`,preserveAspectRatio:`xMidYMid meet`,children:[n.lines.map(e=>(0,G.jsx)(`path`,{d:e.path,fill:`none`,stroke:e.hue,strokeWidth:8,opacity:.8},e.key)),n.boxes.map(e=>(0,G.jsxs)(`g`,{children:[(0,G.jsx)(`rect`,{x:e.x,y:e.y,width:e.width,height:e.height,rx:14,className:`thumb-node`}),(0,G.jsx)(`rect`,{x:e.x,y:e.y,width:e.width,height:40,rx:14,fill:e.hue,opacity:.75})]},e.key))]}):(0,G.jsx)(`span`,{className:`graph-thumb`})}function Fo(e,t){let n;try{let r=Et(e);n=et(r)?Ft(r,t):Dt(r)}catch{return null}if(n.nodes.length===0)return null;let r=new Map(n.nodes.map(e=>{let n=v(t,e),[r,i]=C(e);return[b(e),{...P(n,e,n.isOutput),x:r,y:i,shape:n}]})),i=[...r].map(([e,{x:t,y:n,width:r,height:i,shape:a}])=>{let o=a.outputs[0];return{key:e,x:t,y:n,width:r,height:i,hue:o?q(o.type)[0]:`var(--faint)`}}),a=n.links.flatMap(e=>{let[t,n]=[r.get(e.from),r.get(e.to)];if(!t||!n)return[];let[i,a]=[t.x+t.width,t.y+(t.outputs[e.output]??16)],[o,s]=[n.x,n.y+(n.inputs.get(e.input)??16)],c=Math.max(40,Math.abs(o-i)/2),l=`M${i},${a}C${i+c},${a} ${o-c},${s} ${o},${s}`;return[{key:e.id,path:l,hue:q(String(e.type??`*`))[0]}]}),o=Math.min(...i.map(e=>e.x))-30,s=Math.min(...i.map(e=>e.y))-30,c=Math.max(...i.map(e=>e.x+e.width))+30,l=Math.max(...i.map(e=>e.y+e.height))+30;return{view:`${o} ${s} ${c-o} ${l-s}`,boxes:i,lines:a}}function Io(){let[e,t]=(0,z.useState)(``),n=t=>t.toLowerCase().includes(e.toLowerCase());return(0,G.jsxs)(G.Fragment,{children:[(0,G.jsxs)(`div`,{className:`tools`,children:[(0,G.jsx)(`input`,{type:`search`,className:`field`,"aria-label":S(`Search workflows`),placeholder:S(`Search`),value:e,onChange:e=>t(e.target.value)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>F({kind:`save`}),children:S(`Save as…`)})]}),(0,G.jsx)(Lo,{wanted:n}),(0,G.jsx)(Ro,{wanted:n})]})}function Lo({wanted:e}){let[t,n]=(0,z.useState)([]),[r,i]=(0,z.useState)(null),a=R(e=>e.turn),o=()=>void cn().then(n,()=>void 0);(0,z.useEffect)(o,[a]);let s=(e,t)=>{i(null);let n=`${e.replace(/[^/]*$/,``)}${t.replace(/\.json$/i,``)}.json`;t.trim()&&n!==e&&Tn(e,n).then(()=>{L.setState(({tabs:t})=>({tabs:t.map(t=>t.path===e?{...t,path:n,name:Bt(n)}:t)})),o()},_n)},c=e=>void on(e).then(()=>{L.setState(({tabs:t})=>({tabs:t.map(t=>t.path===e?{...t,path:null}:t)})),A(S(`{{path}} was deleted.`,{path:e})),o()},_n),l=t.filter(t=>e(t.path));return(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(`h3`,{children:S(`Saved`)}),t.length===0&&(0,G.jsx)(`p`,{className:`faint`,children:S(`What you save is listed here.`)}),(0,G.jsx)(`ul`,{className:`jobs`,children:l.map(({path:e})=>(0,G.jsxs)(`li`,{children:[r===e?(0,G.jsx)(`input`,{className:`field`,"aria-label":S(`New name of {{path}}`,{path:e}),defaultValue:Bt(e),autoFocus:!0,onBlur:t=>s(e,t.target.value),onKeyDown:e=>{e.key===`Enter`&&e.currentTarget.blur(),e.key===`Escape`&&i(null)}}):(0,G.jsx)(`button`,{type:`button`,className:`link-button`,onClick:()=>void gn(e),children:e.replace(/\.json$/,``)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Rename {{path}}`,{path:e}),onClick:()=>i(e),children:S(`Rename`)}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Delete {{path}}`,{path:e}),onClick:()=>c(e),children:S(`Delete`)})]},e))})]})}function Ro({wanted:e}){let[t,n]=(0,z.useState)([]);return(0,z.useEffect)(()=>{let e=!1;return(async()=>{for(let[t,r]of await Dn()){let i=await On(t,r);if(e)return;n(e=>[...e.filter(e=>e.name!==r),{pack:t,name:r,text:i}])}})().catch(()=>void 0),()=>{e=!0}},[]),(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(`h3`,{children:S(`Templates`)}),(0,G.jsx)(`ul`,{className:`templates`,children:t.filter(t=>e(t.name)).map(({name:e,text:t})=>(0,G.jsx)(`li`,{children:(0,G.jsxs)(`button`,{type:`button`,className:`card`,onClick:()=>wn(t,e),children:[(0,G.jsx)(Po,{text:t}),(0,G.jsx)(`span`,{children:e})]})},e))})]})}var zo=(0,z.lazy)(()=>O(()=>import(`./Gallery.js`),__vite__mapDeps([0]),import.meta.url)),Bo=(0,z.lazy)(()=>O(()=>import(`./Models.js`),__vite__mapDeps([0]),import.meta.url)),Vo={workflows:[`Workflows`,(0,G.jsx)(Ke,{size:18},`i`),()=>(0,G.jsx)(Io,{})],outline:[`Outline`,(0,G.jsx)(f,{size:18},`i`),()=>(0,G.jsx)(bo,{})],models:[`Models`,(0,G.jsx)(se,{size:18},`i`),()=>(0,G.jsx)(Bo,{})],gallery:[`Pictures`,(0,G.jsx)(re,{size:18},`i`),()=>(0,G.jsx)(zo,{})],queue:[`Queue and history`,(0,G.jsx)(Ee,{size:18},`i`),()=>(0,G.jsx)(ko,{})],problems:[`Problems`,(0,G.jsx)(o,{size:18},`i`),()=>(0,G.jsx)(So,{})]};function Ho(){return(0,G.jsx)(`nav`,{className:`rail`,"aria-label":S(`Panels`),children:Object.keys(Vo).map(e=>(0,G.jsx)(Wo,{panel:e},e))})}function Uo(){let e=M(e=>e.panel);if(!e)return null;let[t,,n]=Vo[e];return(0,G.jsxs)(`aside`,{className:`side side-${e}`,"aria-label":S(t),children:[(0,G.jsxs)(`div`,{className:`side-head`,children:[(0,G.jsx)(`h2`,{children:S(t)}),(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Close {{name}}`,{name:S(t)}),onClick:()=>M.setState({panel:null}),children:(0,G.jsx)(h,{size:16})})]}),(0,G.jsx)(`div`,{className:`side-body`,children:(0,G.jsx)(z.Suspense,{fallback:(0,G.jsx)(`p`,{className:`faint`,children:`…`}),children:n()})})]})}function Wo({panel:e}){let t=M(t=>t.panel===e),n=R(e=>e.remaining),[r,i]=Vo[e],a=S(r),o=Z.find(t=>t.id===`view.${e}`),s=o&&H(o)[0];return(0,G.jsxs)(`button`,{type:`button`,className:`icon-button`,"aria-pressed":t,"aria-label":e===`queue`&&n?S(`{{name}}, {{remaining}} waiting`,{name:a,remaining:n}):a,title:s?`${a} (${W(s)})`:a,onClick:()=>j(e),children:[i,e===`queue`&&n>0&&(0,G.jsx)(`span`,{className:`badge`,"aria-hidden":`true`,children:n})]})}function Go(){let e=M(e=>e.toasts);return(0,G.jsx)(`section`,{className:`toasts`,"aria-live":`polite`,"aria-label":S(`Messages`),children:e.map(e=>(0,G.jsxs)(`div`,{className:`toast is-${e.tone}`,children:[(0,G.jsx)(`span`,{children:e.text}),(0,G.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":S(`Dismiss this message`),onClick:()=>Lt(e.id),children:(0,G.jsx)(h,{size:14})})]},e.id))})}function Ko(){return(0,G.jsxs)(`header`,{className:`topbar`,children:[(0,G.jsx)(Jo,{}),(0,G.jsx)(Yo,{}),(0,G.jsx)(Qo,{}),(0,G.jsx)($o,{})]})}var qo=[[`File`,[`file.new`,`view.workflows`,`file.open`,`file.save`,`file.saveAs`,`file.export`,`file.exportApi`,`file.rename`,`file.close`]],[`Run`,[`run.queue`,`run.front`,`run.sweep`,`run.interrupt`,`run.pause`,`run.resume`]],[`Edit`,[`edit.undo`,`edit.redo`,`edit.add`,`view.find`,`edit.group`,`edit.subgraph`,`edit.arrange`]],[`View`,[`view.commands`,`view.fit`,`view.form`,`view.properties`,`view.timing`,`view.minimap`,`view.snap`,`view.settings`,`view.help`]]];function Jo(){return(0,G.jsxs)(ge,{children:[(0,G.jsxs)(Ve,{className:`icon-button brand`,"aria-label":S(`Easel menu`),children:[(0,G.jsx)(u,{size:16}),(0,G.jsx)(`span`,{children:`Easel`})]}),(0,G.jsx)(Fe,{children:(0,G.jsx)(ye,{className:`positioner`,sideOffset:6,align:`start`,children:(0,G.jsx)(Ae,{className:`menu`,children:qo.map(([e,t])=>(0,G.jsxs)(de,{children:[(0,G.jsx)(xe,{className:`menu-label`,children:S(e)}),t.map(Vi).map(e=>(0,G.jsxs)(Ce,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,G.jsx)(`span`,{children:S(e.title)}),(0,G.jsx)(`kbd`,{children:W(H(e)[0]??``)})]},e.id))]},e))})})})]})}function Yo(){let{tabs:e,active:t}=L();return(0,G.jsxs)(`div`,{className:`tabs`,children:[(0,G.jsx)(`ul`,{"aria-label":S(`Open workflows`),children:e.map(e=>(0,G.jsx)(Xo,{tab:e,isActive:e.id===t},e.id))}),(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`New workflow`),onClick:()=>Sn(),children:(0,G.jsx)(p,{size:16})})]})}function Xo({tab:e,isActive:t}){let n=w(n=>dt(t?n:e.state)!==e.saved),r=M(e=>e.renaming===`tab`)&&t;return(0,G.jsxs)(`li`,{className:t?`tab is-active`:`tab`,children:[r?(0,G.jsx)(hr,{title:e.name,label:S(`Name of the workflow`),done:t=>{M.setState({renaming:null}),t&&tn(e.id,t)}}):(0,G.jsxs)(`button`,{type:`button`,"aria-current":t?`page`:void 0,onClick:()=>nn(e.id),onDoubleClick:()=>M.setState({renaming:`tab`}),children:[e.name,n&&(0,G.jsx)(`span`,{role:`img`,"aria-label":S(`, not saved`),className:`dirty`})]}),(0,G.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":S(`Close {{name}}`,{name:e.name}),onClick:()=>kn(e.id),children:(0,G.jsx)(h,{size:12})})]})}var Zo=100;function Qo(){let e=M(e=>e.count),{remaining:t,online:n}=R(),r=e=>()=>void Vi(e).perform();return(0,G.jsxs)(`div`,{className:`run`,children:[(0,G.jsxs)(`button`,{type:`button`,className:`button primary`,onClick:r(`run.queue`),disabled:!n,title:`${S(`Run`)} (${W(`Mod+Enter`)})`,children:[(0,G.jsx)(m,{size:14}),` `,S(`Run`)]}),(0,G.jsx)(`input`,{type:`number`,className:`field count`,"aria-label":S(`How many times`),min:1,max:Zo,value:e,onChange:e=>M.setState({count:Math.max(1,Math.min(Zo,Math.round(Number(e.target.value))||1))})}),(0,G.jsxs)(`button`,{type:`button`,className:`button`,onClick:r(`run.interrupt`),disabled:t===0,title:`${S(`Stop`)} (${W(`Mod+Alt+Enter`)})`,children:[(0,G.jsx)(ee,{size:12}),` `,S(`Stop`)]})]})}function $o(){let e=M(e=>e.inspector);return(0,G.jsx)(`div`,{className:`inspectors`,children:es.map(([t,n,r])=>{let i=Vi(n),a=H(i)[0];return(0,G.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-pressed":e===t,"aria-label":S(i.title),title:a?`${S(i.title)} (${W(a)})`:S(i.title),onClick:()=>void i.perform(),children:r},n)})})}var es=[[`form`,`view.form`,(0,G.jsx)(r,{size:16},`i`)],[`properties`,`view.properties`,(0,G.jsx)(n,{size:16},`i`)],[`timing`,`view.timing`,(0,G.jsx)(a,{size:16},`i`)]],ts=[[`.react-flow__node`,`A node`,`Each box does one thing: loads a model, reads your words, makes the picture. Change its fields here.`],[`.react-flow__handle.source`,`A link`,`Pull from a coloured point to one of the same kind to hand something on. By keyboard: press C on a node.`],[`.run .primary`,`Run`,`This makes the picture; so does Ctrl+Enter. Only what you changed is worked out anew.`],[`.brand`,`Save`,`Ctrl+S keeps the workflow on the server. Every picture also carries the workflow that made it.`]];function ns(){let e=Ln(e=>e.toured),[t,n]=(0,z.useState)(0);if(e)return null;let[r,i,a]=ts[t]??[``,``,``],o=document.querySelector(r)?.getBoundingClientRect(),s=()=>V({toured:!0}),c=Math.min(Math.max(12,o?o.left:80),innerWidth-352),l=(o?.bottom??100)+14,u=l+190<innerHeight?l:Math.max(56,(o?.top??300)-190);return(0,G.jsxs)(`section`,{className:`tour`,style:{left:c,top:u},"aria-label":S(`A short tour`),"aria-live":`polite`,children:[(0,G.jsx)(`h2`,{children:S(i)}),(0,G.jsx)(`p`,{children:S(a)}),(0,G.jsxs)(`div`,{className:`dialog-buttons`,children:[(0,G.jsx)(`span`,{className:`faint`,children:S(`{{at}} of {{count}}`,{at:t+1,count:ts.length})}),(0,G.jsx)(`button`,{type:`button`,className:`button small`,onClick:s,children:S(`Skip the tour`)}),(0,G.jsx)(`button`,{type:`button`,className:`button primary small`,onClick:()=>t+1<ts.length?n(t+1):s(),children:S(t+1<ts.length?`Next`:`Done`)})]})]})}var rs=(0,z.lazy)(()=>O(()=>import(`./FormView.js`),__vite__mapDeps([0]),import.meta.url));function is(){(0,z.useEffect)(Wi,[]);let e=os(),t=M(e=>e.phone===`form`)&&e;return(0,G.jsxs)(`div`,{className:`app`,onDragOver:e=>e.preventDefault(),onDrop:e=>{if(e.dataTransfer.files.length!==0){e.preventDefault();for(let t of e.dataTransfer.files)ln(t)}},children:[(0,G.jsx)(Ko,{}),(0,G.jsxs)(`div`,{className:`middle`,children:[(0,G.jsx)(Ho,{}),(0,G.jsx)(Uo,{}),(0,G.jsxs)(`main`,{children:[(0,G.jsx)(`h1`,{className:`hidden`,children:`Easel`}),t?(0,G.jsx)(z.Suspense,{fallback:null,children:(0,G.jsx)(`div`,{className:`phone-form`,children:(0,G.jsx)(rs,{})})}):(0,G.jsxs)(G.Fragment,{children:[(0,G.jsx)(so,{children:(0,G.jsx)(na,{})}),(0,G.jsx)(va,{}),(0,G.jsx)(cs,{})]})]}),!e&&(0,G.jsx)(Wa,{})]}),(0,G.jsx)(us,{}),e&&(0,G.jsx)(ss,{}),(0,G.jsx)(uo,{}),(0,G.jsx)(to,{}),(0,G.jsx)(Oa,{}),(0,G.jsx)(Go,{}),!e&&(0,G.jsx)(ns,{})]})}var as=`(max-width: 720px)`;function os(){let[e,t]=(0,z.useState)(()=>matchMedia(as).matches);return(0,z.useEffect)(()=>{let e=matchMedia(as),n=()=>t(e.matches);return e.addEventListener(`change`,n),()=>e.removeEventListener(`change`,n)},[]),e}function ss(){let{phone:e,panel:t}=M(),n=e=>()=>M.setState(e);return(0,G.jsx)(`nav`,{className:`phone-bar`,"aria-label":S(`Views`),children:[[`Form`,e===`form`&&!t,n({phone:`form`,panel:null})],[`Queue`,t===`queue`,n({panel:`queue`})],[`Pictures`,t===`gallery`,n({panel:`gallery`})],[`Workflows`,t===`workflows`,n({panel:`workflows`})],[`Graph`,e===`graph`&&!t,n({phone:`graph`,panel:null})]].map(([e,t,n])=>(0,G.jsx)(`button`,{type:`button`,className:`button`,"aria-pressed":t,onClick:n,children:S(e)},e))})}function cs(){return w(e=>e.doc.nodes.length===0)?(0,G.jsxs)(`div`,{className:`empty`,children:[(0,G.jsx)(`p`,{children:S(`An empty workflow`)}),[`file.template`,`edit.add`,`file.open`,`view.workflows`].map(Vi).map(e=>(0,G.jsx)(`button`,{type:`button`,className:`button`,onClick:()=>void e.perform(),children:S(e.title)},e.id)),(0,G.jsx)(`p`,{className:`faint`,children:S(`Or drop a workflow, or a picture you made, anywhere here.`)})]}):null}var ls=(e,t)=>Object.entries(e.nodes[t]??{}).find(([,e])=>e.state===`running`)?.[0];function us(){let{online:e,remaining:t,running:n,jobs:r}=R(),i=T(e=>e.isLoaded),{tabs:a,active:o}=L(),s=n&&r[n]||o,c=R(e=>Math.round(100*bn(e,s))),l=R(e=>ls(e,s)),u=R(e=>l?e.nodes[s]?.[l]:void 0),d=w(e=>l?g(e.doc,l):void 0),f=u?.max?Math.round(100*(u.value??0)/u.max):0,p=a.find(e=>e.id===o)?.name??`Easel`,m=t>0;(0,z.useEffect)(()=>{document.title=m?`[${c}%] ${p} · Easel`:`${p} · Easel`},[m,c,p]);let ee=d?k(d,x().get(d.type)?.title??d.type):``,te=e?i?m?ee?`${ee} ${f}%`:S(`Running`):S(`Ready`):S(`The server is loading its nodes…`):S(`No connection; trying again. Your work is kept.`);return(0,G.jsxs)(`footer`,{className:`status`,children:[(0,G.jsx)(`span`,{className:`glyph glyph-${e?m?`running`:`finished`:`error`}`}),(0,G.jsx)(`span`,{role:`status`,children:te}),m&&(0,G.jsx)(`progress`,{max:100,value:c,"aria-label":S(`Progress of the running workflow`)}),t>1&&(0,G.jsx)(`span`,{className:`faint`,children:S(`{{count}} more waiting`,{count:t-1})})]})}var ds=`settings/easel.editor`;function fs(){let e=Rn();Hn(e=>Vt(ds,{method:`POST`,body:mt({...e})})),e||Vt(ds).then(e=>{St(e)&&V(Pn(e))},()=>void 0)}var ps=class extends z.Component{state={error:null};static getDerivedStateFromError(e){return{error:e instanceof Error?e.message:String(e)}}render(){return this.state.error===null?this.props.children:(0,G.jsxs)(`main`,{className:`failure`,role:`alert`,children:[(0,G.jsx)(`h1`,{children:`The editor has failed`}),(0,G.jsxs)(`p`,{children:[`What you made is kept in this browser. `,this.state.error]}),(0,G.jsx)(`button`,{type:`button`,className:`button primary`,onClick:()=>location.reload(),children:`Load it again`})]})}},ms=Bn();fs(),Wt()||wn(ki,`Text to image.json`),en(),sn().then(()=>{un(D()),M.setState(e=>({fit:e.fit+1}))}),fn(e=>{e||sn(),Cn().catch(()=>void 0)}),addEventListener(`paste`,e=>{if(Gn(e.target))return;let t=e.clipboardData?.files[0],n=e.clipboardData?.getData(`text`)??``;t?ln(t):n&&!si(n,!1)&&n.trimStart().startsWith(`{`)&&wn(n,`Pasted.json`)});function hs(){let e=gt(e=>e.language);return(0,G.jsx)(ps,{children:(0,G.jsx)(is,{},e)})}var gs=document.getElementById(`root`);gs&&ms.finally(()=>(0,An.createRoot)(gs).render((0,G.jsx)(z.StrictMode,{children:(0,G.jsx)(hs,{})})));export{W as _,Ka as a,Pn as b,Z as c,ei as d,q as f,Wn as g,H as h,qa as i,Vi as l,Zn as m,wo as n,Ia as o,$n as p,Ja as r,Fa as s,Do as t,Bi as u,jn as v,Ln as x,V as y};