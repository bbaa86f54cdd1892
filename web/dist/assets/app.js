const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./vendor.css"])))=>i.map(i=>d[i]);
import{n as e}from"./rolldown-runtime.js";import{$ as t,A as n,B as r,C as i,D as a,E as o,F as s,G as c,H as l,I as u,K as d,L as f,M as p,N as m,O as ee,P as te,Q as ne,R as re,S as ie,T as h,U as ae,V as oe,W as se,X as ce,Y as le,Z as ue,_ as de,at as fe,b as pe,c as me,ct as he,d as ge,dt as _e,et as ve,f as ye,ft as be,g as xe,gt as Se,h as Ce,ht as we,it as Te,j as Ee,k as De,l as Oe,lt as ke,m as Ae,mt as je,nt as Me,o as Ne,ot as Pe,p as Fe,pt as Ie,rt as Le,s as Re,st as ze,tt as Be,u as Ve,ut as He,v as Ue,x as We,y as Ge,z as Ke}from"./vendor.js";import{$ as qe,C as Je,D as Ye,E as Xe,F as Ze,H as Qe,I as $e,J as et,K as tt,L as nt,M as rt,N as it,O as at,P as g,Q as ot,R as st,S as ct,T as lt,V as ut,W as _,X as dt,Y as v,Z as y,_ as ft,a as b,at as pt,b as mt,ct as ht,d as gt,dt as _t,et as x,ft as S,g as C,h as w,i as vt,it as T,j as yt,l as bt,lt as xt,m as St,mt as E,n as D,nt as Ct,o as O,ot as wt,pt as Tt,q as Et,r as Dt,s as Ot,st as kt,tt as k,u as At,v as jt,w as Mt,y as Nt}from"./documents.js";import{a as Pt,c as A,d as j,f as M,i as Ft,l as N,m as P,n as It,o as F,p as Lt,r as Rt,s as I,t as zt,u as Bt}from"./arrange.js";import{B as Vt,C as Ht,D as Ut,E as Wt,G as L,H as Gt,I as Kt,J as qt,M as Jt,N as Yt,O as Xt,P as Zt,R as Qt,S as $t,T as en,U as tn,V as nn,W as rn,X as an,Y as on,Z as R,_ as sn,a as cn,b as ln,c as un,d as dn,f as fn,g as pn,i as mn,j as hn,k as gn,l as _n,n as vn,o as yn,p as bn,q as xn,r as Sn,s as Cn,t as wn,u as Tn,v as En,w as Dn,x as On,y as kn,z as An}from"./run.js";var z=e(Se(),1),jn=we(),Mn={theme:`system`,language:`en`,linkStyle:`curved`,wheel:`zoom`,minimap:!0,snap:!1,keys:{},toured:!1,used:{}},Nn={theme:[`system`,`dark`,`light`],linkStyle:[`curved`,`straight`,`stepped`,`hidden`],wheel:[`zoom`,`pan`]},Pn=`easel.settings`;function Fn(e){let t=typeof e==`object`&&e?e:{},n=Object.entries(Mn).map(([e,n])=>{let r=t[e];return[e,Nn[e]?.includes(r)??(typeof r==typeof n&&r!==null)?r:n]}),r=Object.entries(Object.fromEntries(n).keys).filter(([,e])=>Array.isArray(e)&&e.every(e=>typeof e==`string`));return{...Object.fromEntries(n),keys:Object.fromEntries(r)}}function In(){try{return localStorage.getItem(Pn)}catch{return null}}function Ln(){try{return Fn(JSON.parse((typeof localStorage>`u`?null:In())??`null`))}catch{return Mn}}var B=le(Ln),Rn=B.getState,zn=()=>In()!==null;function Bn({theme:e,language:t}){return document.documentElement.dataset.theme=e,_t(t)}var Vn=()=>Bn(Rn()),Hn=()=>Promise.resolve(),Un=e=>{Hn=e};function V(e){B.setState(e);let t=Rn();try{localStorage.setItem(Pn,JSON.stringify(t))}catch{}Hn(t).catch(()=>void 0),(`theme`in e||`language`in e)&&Bn(t)}var H=e=>Rn().keys[e.id]??e.keys,U=()=>!0,Wn=typeof navigator<`u`&&/mac/i.test(navigator.platform);function Gn(e){let t=e.key.length===1?e.key.toUpperCase():e.key,n=e.key.length===1&&!/[a-z0-9 ]/i.test(e.key);return[(Wn?e.metaKey:e.ctrlKey)?`Mod`:``,e.altKey?`Alt`:``,e.shiftKey&&!n?`Shift`:``,t===` `?`Space`:t].filter(Boolean).join(`+`)}var W=e=>e.replace(`Mod`,Wn?`⌘`:`Ctrl`).replace(`Shift`,Wn?`⇧`:`Shift`).replace(`Alt`,Wn?`⌥`:`Alt`).replaceAll(`+`,Wn?``:`+`);function Kn(e){return e instanceof HTMLElement?e.isContentEditable||e instanceof HTMLTextAreaElement||e instanceof HTMLSelectElement||e instanceof HTMLInputElement&&![`checkbox`,`button`,`range`,`radio`].includes(e.type):!1}var qn=e=>{let[t,n,r,i]=wt(e.bounding)?e.bounding.map(Number):[];return[t??0,n??0,r??200,i??100]};function Jn(e,t){let[n,r,i,a]=qn(t);return e.nodes.filter(e=>{let[t,o]=k(e);return t>=n&&t<=n+i&&o+16>=r&&o<=r+a})}var Yn=20,Xn=60;function Zn(e,t){if(e.length===0)return null;let n=e.map(e=>{let n=_(t,e),{width:r,height:i}=P(n,e,n.isOutput),[a,o]=k(e);return[a,o,a+r,o+i]}),r=Math.min(...n.map(e=>e[0]))-Yn,i=Math.min(...n.map(e=>e[1]))-Xn,a=Math.max(...n.map(e=>e[2]))+Yn,o=Math.max(...n.map(e=>e[3]))+Yn;return[r,i,a-r,o-i]}var Qn={MODEL:[`var(--hue-1)`,`square`],CONDITIONING:[`var(--hue-2)`,`diamond`],LATENT:[`var(--hue-3)`,`circle`],IMAGE:[`var(--hue-4)`,`rounded`],MASK:[`var(--hue-5)`,`half`],VAE:[`var(--hue-6)`,`triangle`],CLIP:[`var(--hue-7)`,`triangle`],INT:[`var(--hue-8)`,`circle`],FLOAT:[`var(--hue-8)`,`diamond`],STRING:[`var(--hue-8)`,`rounded`],BOOLEAN:[`var(--hue-8)`,`half`],COMBO:[`var(--hue-8)`,`square`],"*":[`var(--hue-0)`,`ring`]};function G(e){let t=Qn[e];if(t)return t;let n=0;for(let t of e)n=(n*31+t.charCodeAt(0))%997;return[`var(--hue-${n%8+1})`,`ring`]}var K=je(),$n=.32,er=.14,tr=e=>e.transform[2]<$n,nr=e=>e.transform[2]<er,rr=e=>nr(e)?e.transform.join():``;function ir(){let e=Pe(rr),t=Pe(e=>e.width),n=Pe(e=>e.height),r=C(e=>e.doc),i=w(e=>e.definitions),a=M(e=>e.selected),o=B(e=>e.theme),s=(0,z.useRef)(null);return(0,z.useEffect)(()=>{let o=s.current?.getContext(`2d`);if(!o||!e)return;let[c=0,l=0,u=1]=e.split(`,`).map(Number);o.setTransform(1,0,0,1,0,0),o.clearRect(0,0,t,n),o.setTransform(u,0,0,u,c,l),sr(o,r,i,a,u)},[e,t,n,r,i,a,o]),e?(0,K.jsx)(`div`,{className:`far-view`,"aria-hidden":`true`,children:(0,K.jsx)(`canvas`,{ref:s,width:t,height:n})}):null}var ar=new WeakMap;function or(e,t){let n=_(e,t),r=ar.get(t);if(r)return r;let i=P(n,t,n.isOutput);return ar.set(t,i),i}function sr(e,t,n,r,i){let a=getComputedStyle(document.documentElement),o=new Map,s=e=>{let t=o.get(e);if(t)return t;let n=a.getPropertyValue(e.replace(/^var\((.*)\)$/,`$1`)).trim()||`#888`;return o.set(e,n),n},c=new Map(t.nodes.map(e=>[v(e),[k(e),or(n,e)]]));e.lineWidth=1.2/i;let l=new Map;for(let e of t.links){let[t,n]=[c.get(e.from),c.get(e.to)];if(!t||!n)continue;let r=s(G(String(e.type??`*`))[0]),i=l.get(r)??new Path2D;l.set(r,i),i.moveTo(t[0][0]+t[1].width,t[0][1]+(t[1].outputs[e.output]??16)),i.lineTo(n[0][0],n[0][1]+(n[1].inputs.get(e.input)??16))}for(let[t,n]of l)e.strokeStyle=t,e.stroke(n);for(let n of t.nodes){let[[t,i],{width:a,height:o}]=c.get(v(n))??[[0,0],{width:0,height:0}];e.fillStyle=s(`--raised`),e.fillRect(t,i,a,o),e.strokeStyle=s(r.has(v(n))?`--accent`:`--faint`),e.strokeRect(t,i,a,o)}}function cr(e,t){let n=e.trim().replace(`,`,`.`);if(/^[+-]?\d+$/.test(n))return at(BigInt(n.replace(`+`,``)));let r=lr(n);return r===null||!Number.isFinite(r)?null:t===`int`?Math.round(r):r}function lr(e){let t=e.match(/\d*\.?\d+(?:e[+-]?\d+)?|[-+*/()]|\S/gi)??[],n=0,r=e=>{let i=t[n++];if(i===`-`)return-r(e);if(i===`+`)return r(e);if(i===`(`&&e<50){let r=a(e+1);return t[n++]===`)`?r:NaN}return i===void 0?NaN:Number(i)},i=e=>{let i=r(e);for(;t[n]===`*`||t[n]===`/`;)i=t[n++]===`*`?i*r(e):i/r(e);return i},a=e=>{let r=i(e);for(;t[n]===`+`||t[n]===`-`;)r=t[n++]===`+`?r+i(e):r-i(e);return r},o=a(0);return n===t.length&&!Number.isNaN(o)?o:null}function ur(e,t,n){return typeof e!=`number`&&typeof e!=`bigint`?e:(typeof t==`number`||typeof t==`bigint`)&&e<t?t:(typeof n==`number`||typeof n==`bigint`)&&e>n?n:e}function dr(e,t,n){if(typeof e==`bigint`)return at(e+BigInt(Math.round(t*n)));let r=(String(t).split(`.`)[1]??``).length+2;return Number((Number(e)+t*n).toFixed(Math.min(r,12)))}var fr=/^\((.*):(-?\d+(?:\.\d+)?)\)$/s,pr=.05;function mr({text:e,start:t,end:n},r){let[i,a]=[t,n];for(i===a&&([i,a]=gr(e,i)??hr(e,i));i<a&&/\s/.test(e[i]??``);)i++;for(;a>i&&/\s/.test(e[a-1]??``);)a--;if(i===a)return{text:e,start:t,end:n};let o=_r(e,i,a);o&&([i,a]=o);let s=fr.exec(e.slice(i,a)),c=s?.[1]??e.slice(i,a),l=Math.round((Number(s?.[2]??1)+r*pr)*100)/100,u=l===1?c:`(${c}:${l})`;return{text:e.slice(0,i)+u+e.slice(a),start:i,end:i+u.length}}function hr(e,t){let n=e=>e!==void 0&&!/[\s,.;:()[\]{}|]/.test(e),[r,i]=[t,t];for(;n(e[r-1]);)r--;for(;n(e[i]);)i++;return[r,i]}function gr(e,t){let n=0;for(let r=t-1;r>=0;r--){if(e[r]===`)`&&n++,e[r]!==`(`||n-->0)continue;let i=vr(e,r);return i!==null&&i>t&&fr.test(e.slice(r,i))?[r,i]:null}return null}function _r(e,t,n){if(e[t-1]!==`(`)return null;let r=vr(e,t-1),i=r===null?null:fr.exec(e.slice(t-1,r))?.[1];return r!==null&&i===e.slice(t,n)?[t-1,r]:null}function vr(e,t){let n=0;for(let r=t;r<e.length;r++)if(e[r]===`(`&&n++,e[r]===`)`&&--n===0)return r+1;return null}var q=(e,t,n)=>D({kind:`value`,node:e,name:t,value:n},`value ${e} ${t}`),yr=(0,z.memo)(function(e){if(e.isLinked)return(0,K.jsx)(`span`,{className:`field-linked`,children:S(`from a link`)});let t=e.input.widget;return t===`int`||t===`float`?(0,K.jsx)(br,{...e}):t===`toggle`?(0,K.jsx)(Sr,{...e}):t===`combo`?(0,K.jsx)(Cr,{...e}):(0,K.jsx)(xr,{...e})});function br({node:e,input:t,value:n,label:r}){let[i,a]=(0,z.useState)(null),o=t.widget===`int`?`int`:`float`,{min:s,max:c}=t.options,l=typeof t.options.step==`number`?t.options.step:o===`int`?1:.1,u=i!==null&&cr(i,o)===null,d=n=>{a(n.target.value);let r=cr(n.target.value,o);r!==null&&q(e,t.name,ur(r,s,c))},f=()=>{a(null),Dt()};return(0,K.jsxs)(`span`,{className:`number nodrag`,children:[(0,K.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>q(e,t.name,ur(dr(n,l,-1),s,c)),children:`−`}),(0,K.jsx)(`input`,{className:`field`,type:`text`,inputMode:`decimal`,role:`spinbutton`,"aria-label":r,"aria-invalid":u,"aria-valuenow":Number(n),"aria-valuetext":String(n),"aria-valuemin":s===void 0?void 0:Number(s),"aria-valuemax":c===void 0?void 0:Number(c),value:i??String(n),onChange:d,onBlur:f,onKeyDown:r=>{let i={ArrowUp:1,ArrowDown:-1,PageUp:10,PageDown:-10}[r.key];r.key===`Enter`&&!r.ctrlKey&&!r.metaKey&&f(),i!==void 0&&(r.preventDefault(),a(null),q(e,t.name,ur(dr(n,l,i),s,c)))},autoComplete:`off`,spellCheck:!1}),(0,K.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>q(e,t.name,ur(dr(n,l,1),s,c)),children:`+`})]})}function xr({node:e,input:t,value:n,label:r}){let i={className:`field nodrag nowheel`,"aria-label":r,value:String(n??``),onBlur:Dt,onChange:n=>q(e,t.name,n.target.value)},a=n=>{let r={ArrowUp:1,ArrowDown:-1}[n.key];if(!r||!(n.ctrlKey||n.metaKey)||n.nativeEvent.isComposing)return;n.preventDefault();let{currentTarget:i}=n,a=mr({text:i.value,start:i.selectionStart,end:i.selectionEnd},r);q(e,t.name,a.text),requestAnimationFrame(()=>i.setSelectionRange(a.start,a.end))};return t.options.multiline===!0?(0,K.jsx)(`textarea`,{...i,onKeyDown:a,placeholder:String(t.options.placeholder??t.name)}):(0,K.jsx)(`input`,{type:`text`,...i,autoComplete:`off`})}function Sr({node:e,input:t,value:n,label:r}){return(0,K.jsx)(`input`,{type:`checkbox`,className:`toggle nodrag`,role:`switch`,"aria-label":r,"aria-checked":n===!0,checked:n===!0,onChange:n=>q(e,t.name,n.target.checked)})}function Cr({node:e,input:t,value:n,label:r}){let i=t.choices.indexOf(n);return(0,K.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,"aria-invalid":i<0,value:i,onChange:n=>q(e,t.name,t.choices[Number(n.target.value)]??null),children:[i<0&&(0,K.jsx)(`option`,{value:-1,children:S(`{{value}} (not here)`,{value:String(n)})}),t.choices.map((e,t)=>(0,K.jsx)(`option`,{value:t,children:String(e)},String(e)))]})}var wr={fixed:`stays`,increment:`counts up`,decrement:`counts down`,randomize:`is drawn anew`};function Tr({node:e,input:t,value:n,label:r}){return(0,K.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,value:String(n),onChange:n=>q(e,Ye(t.name),n.target.value),children:[Xe.map(e=>(0,K.jsx)(`option`,{value:e,children:S(wr[e]??e)},e)),!Xe.includes(n)&&(0,K.jsx)(`option`,{value:String(n),children:String(n)})]})}function Er({title:e,label:t,done:n}){let r=(0,z.useRef)(null);return(0,z.useEffect)(()=>{r.current?.select()},[]),(0,K.jsx)(`input`,{ref:r,className:`field nodrag`,"aria-label":t,defaultValue:e,onBlur:e=>n(e.target.value),onKeyDown:e=>{e.stopPropagation(),e.key===`Enter`&&e.currentTarget.blur(),e.key===`Escape`&&n(null)}})}var Dr=`group:`,Or=e=>Number(e.slice(6)),kr=[`#3f789e`,`#8a5d9e`,`#3f8a5a`,`#a1763a`,`#a04848`,`#5a6270`],Ar=(0,z.memo)(function({id:e,data:t}){let n=t.group,r=Or(e),i=String(n.title??S(`Group`)),a=M(t=>t.renaming===e),o=typeof n.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(n.color)?n.color:void 0,s=e=>D({kind:`group`,place:r,group:{...n,...e}}),c=kr[(kr.indexOf(o??``)+1)%kr.length]??`#3f789e`;return(0,K.jsxs)(`div`,{className:`frame`,style:{"--frame":o},children:[(0,K.jsxs)(`div`,{className:`frame-head`,children:[a?(0,K.jsx)(Er,{title:i,label:S(`Name of the group`),done:e=>{M.setState({renaming:null}),e!==null&&e!==i&&s({title:e})}}):(0,K.jsx)(`span`,{className:`frame-title`,onDoubleClick:()=>M.setState({renaming:e}),children:i}),(0,K.jsx)(`span`,{className:`frame-tools nodrag`,children:[[`Rename`,()=>M.setState({renaming:e})],[`Colour`,()=>s({color:c})],[`Fit`,()=>{let e=Zn(Jn(O(),n),b());e&&s({bounding:[...e]})}],[`Select its nodes`,()=>M.setState({selected:new Set(Jn(O(),n).map(v))})],[`Ungroup`,()=>D({kind:`group`,place:r,group:null})]].map(([e,t])=>(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`{{words}}: group {{title}}`,{words:S(e),title:i}),onClick:t,children:S(e)},e))})]}),(0,K.jsx)(Be,{className:`resize`,minWidth:120,minHeight:80})]})}),jr={curved:e=>He(e)[0],hidden:e=>He(e)[0],straight:e=>be(e)[0],stepped:e=>_e(e)[0]},Mr=[],Nr=(0,z.memo)(function(e){let{id:t,selected:n,source:r,target:i,style:a,interactionWidth:o,sourcePosition:s,targetPosition:c}=e,l=B(e=>e.linkStyle),u=C(e=>e.doc.root),d=M(e=>e.selected.has(r)||e.selected.has(i)),[f,p]=(0,z.useState)(null);if(Pe(nr))return null;let m=dt(O(),Number(t)),ee=m&&u?it(O(),m):Mr;if(l===`hidden`&&!n&&!d)return null;let te=ee.map(e=>f?.id===e.id?f.at:e.pos),ne=[[e.sourceX,e.sourceY],...te,[e.targetX,e.targetY]],re=ne.slice(1).map(([e,t],n)=>{let[r,i]=ne[n]??[0,0];return jr[l]({sourceX:r,sourceY:i,targetX:e,targetY:t,sourcePosition:s,targetPosition:c})}).join(` `);return(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(ue,{id:t,path:re,style:a,interactionWidth:o}),ee.map((e,t)=>(0,K.jsx)(Pr,{point:e,at:te[t]??e.pos,hue:a?.stroke,live:p},e.id))]})});function Pr({point:e,at:t,hue:n,live:r}){let i=fe(),a=e=>{let{x:t,y:n}=i.screenToFlowPosition({x:e.clientX,y:e.clientY});return[Math.round(t),Math.round(n)]};return(0,K.jsx)(`circle`,{className:`reroute nopan nodrag`,"data-reroute":e.id,cx:t[0],cy:t[1],r:7,fill:n,onPointerDown:e=>{e.stopPropagation(),e.currentTarget.setPointerCapture(e.pointerId)},onPointerMove:t=>{t.currentTarget.hasPointerCapture(t.pointerId)&&r({id:e.id,at:a(t)})},onPointerUp:t=>{let n=a(t);r(null),(n[0]!==e.pos[0]||n[1]!==e.pos[1])&&D({kind:`moveReroute`,id:e.id,pos:n})},onDoubleClick:t=>{t.stopPropagation(),D({kind:`removeReroute`,id:e.id})}})}var Fr=(e,t)=>({node:e,output:Number(t.slice(4))}),Ir=(e,t)=>({node:e,input:t.slice(3)});function Lr(e){return!e.source||!e.target||!e.sourceHandle||!e.targetHandle?null:{from:Fr(e.source,e.sourceHandle),to:Ir(e.target,e.targetHandle)}}function Rr(e){let t=Lr(e);return t!==null&&g(O(),b(),t.from,t.to).ok}function zr(e){e&&g(O(),b(),e.from,e.to).ok&&D({kind:`link`,...e})}function Br(e){let[t,n]=[e.fromHandle,e.toHandle];if(!t?.id||!n?.id)return;if(t.type===n.type){A([`An output goes to an input, not to another output.`,`An input takes an output, not another input.`][t.type===`source`?0:1]??``,`error`);return}let[r,i]=t.type===`source`?[t,n]:[n,t],a=g(O(),b(),Fr(r.nodeId,r.id??``),Ir(i.nodeId,i.id??``));a.ok||A(a.reason,`error`)}function Vr(e,t){let n=`from`in e?{from:e.from,to:Ze(O(),b(),e.from,t)}:{from:$e(O(),b(),e.to,t),to:e.to};if(n.from&&n.to){D({kind:`link`,from:n.from,to:n.to});return}let r=x(O(),t);r&&t!==(`from`in e?e.from.node:e.to.node)&&A(`${T(r,_(b(),r).title)} has no ${`from`in e?`input that takes this output`:`output that this input takes`}.`,`error`)}var Hr=(e,t)=>e.isOutput||t.preview!==void 0||t.images!==void 0||t.texts!==void 0||e.inputs.some(Qe),Ur=(0,z.memo)(function({id:e,selected:t}){let n=C(t=>x(t.doc,e)),r=w(e=>e.definitions),i=L(e=>e.active),a=C(e=>At(e.outer)),o=R(t=>an(t,i,a+e)),s=Pe(tr),c=Pe(nr);if(!n||c)return null;let l=_(r,n),u=!r.has(n.type),d=P(l,n,Hr(l,o)),f=[`node`,t?`is-selected`:``,o.state?`is-${o.state}`:``,u?`is-missing`:``,qe(n)===2?`is-muted`:``,qe(n)===4?`is-bypassed`:``,s?`is-far`:``,n.type===`Reroute`?`is-reroute`:``],p=typeof n.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(n.color)?{"--tint":n.color}:{};return(0,K.jsxs)(`div`,{className:f.filter(Boolean).join(` `),style:p,onDrop:t=>ei(t,e,l),onDoubleClick:t=>{l.subgraph&&t.target.closest(`.sockets-row, .far-title`)&&vt(e)},children:[!s&&n.type!==`Reroute`&&(0,K.jsx)(Gr,{id:e,node:n,title:T(n,l.title),run:o}),s&&(0,K.jsx)(`span`,{className:`far-title`,children:T(n,l.title)}),!s&&(0,K.jsx)(Kr,{id:e,shape:l,layout:d}),!s&&!Et(n)&&n.type!==`Reroute`&&(0,K.jsx)(qr,{id:e,node:n,shape:l,layout:d,run:o,isMissing:u}),!s&&o.errors&&o.errors.length>0&&(0,K.jsx)(ri,{id:e,run:o,shape:l}),t&&!Et(n)&&n.type!==`Reroute`&&(0,K.jsx)(Be,{className:`resize`,minWidth:220,minHeight:60})]})}),Wr={queued:`waiting`,running:`running`,finished:`done`,cached:`unchanged, taken from the last run`,error:`failed`};function Gr({id:e,node:t,title:n,run:r}){let i=M(t=>t.renaming===e),a=Et(t),o=r.state===`running`&&r.max?Math.min(1,(r.value??0)/r.max):0,s=b().get(t.type)?.subgraph!==void 0;return(0,K.jsxs)(`header`,{className:`node-header`,children:[(0,K.jsx)(`button`,{type:`button`,className:`icon nodrag`,"aria-label":S(a?`Expand {{title}}`:`Collapse {{title}}`,{title:n}),"aria-expanded":!a,onClick:()=>D({kind:`flag`,nodes:[e],flag:`collapsed`,on:!a}),children:a?(0,K.jsx)(oe,{size:14}):(0,K.jsx)(ae,{size:14})}),i?(0,K.jsx)(Er,{title:n,label:S(`Name of the node`),done:t=>{M.setState({renaming:null}),t!==null&&t!==n&&D({kind:`patch`,nodes:[e],fields:{title:t}})}}):(0,K.jsx)(`span`,{className:`node-title`,onDoubleClick:()=>M.setState({renaming:e}),children:n}),s&&(0,K.jsx)(`button`,{type:`button`,className:`icon nodrag`,"aria-label":S(`Open the subgraph {{title}}`,{title:n}),title:S(`Open the subgraph`),onClick:()=>vt(e),children:(0,K.jsx)(De,{size:13})}),et(t)&&(0,K.jsx)(te,{size:12,"aria-label":S(`pinned`)}),r.state===`running`?(0,K.jsxs)(`svg`,{className:`ring`,viewBox:`0 0 20 20`,role:`progressbar`,"aria-label":S(`{{title}}: progress`,{title:n}),"aria-valuenow":Math.round(o*100),"aria-valuemin":0,"aria-valuemax":100,children:[(0,K.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`}),(0,K.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`,className:`ring-part`,pathLength:100,strokeDasharray:`${o*100} 100`})]}):r.state&&(0,K.jsx)(`span`,{className:`glyph glyph-${r.state}`,role:`img`,"aria-label":S(Wr[r.state]??``),title:S(Wr[r.state]??``)}),r.state===`running`&&r.max!==void 0&&r.max>1&&(0,K.jsx)(`span`,{className:`steps`,children:`${r.value??0}/${r.max}`}),o>0&&(0,K.jsx)(`span`,{className:`bar`,style:{transform:`scaleX(${o})`}})]})}function Kr({id:e,shape:n,layout:r}){let i=M(e=>e.pending),a=C(e=>e.doc.links),o=w(e=>e.definitions),s=O(),c=a&&y(s,e),l=(t,n,r)=>{if(!i)return``;let a=`from`in i?i.from:{node:e,output:r},c=`to`in i?i.to:{node:e,input:n};return`from`in i==(t===`out`)?`is-dim`:g(s,o,a,c).ok?`is-fit`:`is-dim`};return(0,K.jsxs)(K.Fragment,{children:[n.inputs.filter(e=>r.inputs.has(e.name)).map(e=>{let[n,i]=G(e.type),a=c.has(e.name)?`is-linked`:e.widget?`is-quiet`:e.optional?`is-open`:``;return(0,K.jsx)(t,{id:`in:${e.name}`,type:`target`,position:he.Left,className:`socket shape-${i} ${a} ${l(`in`,e.name,0)}`,title:`${e.name}: ${e.type}`,style:{top:r.inputs.get(e.name),"--hue":n}},`in:${e.name}`)}),n.outputs.map((e,n)=>{let[i,a]=G(e.type);return(0,K.jsx)(t,{id:`out:${n}`,type:`source`,position:he.Right,className:`socket shape-${a} ${l(`out`,``,n)}`,title:`${e.name}: ${e.type}`,style:{top:r.outputs[n],"--hue":i}},`out:${n}`)})]})}function qr({id:e,node:t,shape:n,layout:r,run:i,isMissing:a}){let o=yt(n,t),s=C(t=>y(t.doc,e)),c=T(t,n.title);return(0,K.jsxs)(K.Fragment,{children:[r.rows.map(r=>r.kind===`sockets`?(0,K.jsx)(Yr,{row:r,shape:n},`s${r.y}`):(0,K.jsx)(Zr,{id:e,row:t.type===`PrimitiveNode`?Jr(r,e):r,title:c,isLinked:s.has(r.input.name),value:o[r.kind===`control`?Ye(r.input.name):r.input.name]??null},`${r.kind}:${r.input.name}`)),a&&(0,K.jsx)(`p`,{className:`missing-note`,style:{top:r.picture.y||40},children:S(`This type is not installed here. Its values and links are kept.`)}),r.picture.height>0&&(0,K.jsx)(ti,{id:e,run:i,shape:n,values:o,title:c,top:r.picture.y,height:r.picture.height})]})}function Jr(e,t){let n=ot(O(),t)[0],r=n&&x(O(),n.to),i=r&&_(b(),r).inputs.find(e=>e.name===n.input);return i?{...e,input:{...e.input,choices:i.choices,options:{...i.options,...e.input.options}}}:e}function Yr({row:e,shape:t}){return(0,K.jsxs)(`div`,{className:`row sockets-row`,style:{top:e.y},children:[(0,K.jsx)(`span`,{title:Xr(e.input),children:e.input?.name}),(0,K.jsx)(`span`,{children:e.output===null?``:t.outputs[e.output]?.name})]})}var Xr=e=>typeof e?.options.tooltip==`string`?e.options.tooltip:void 0;function Zr({id:e,row:t,value:n,isLinked:r,title:i}){let{input:a}=t,o={top:t.y,height:t.height};if(t.kind===`upload`)return(0,K.jsx)(`div`,{className:`row`,style:o,children:(0,K.jsx)($r,{id:e,input:a,title:i})});if(t.kind===`control`)return(0,K.jsxs)(`div`,{className:`row`,style:o,children:[(0,K.jsx)(`span`,{className:`row-label`,children:S(`after a run`)}),(0,K.jsx)(Tr,{node:e,input:a,value:n,label:S(`{{title}}: {{name}} after a run`,{title:i,name:a.name})})]});let s=a.widget===`text`&&a.options.multiline===!0;return(0,K.jsxs)(`div`,{className:`row ${s?`row-text`:``}`,style:o,title:Xr(a),children:[!s&&(0,K.jsx)(`span`,{className:`row-label`,children:a.name}),(0,K.jsx)(yr,{node:e,input:a,value:n,label:`${i}: ${a.name}`,isLinked:r})]})}async function Qr(e,t,n){if(n)try{let r=await Kt(n);await cn(),D({kind:`value`,node:e,name:t.name,value:r})}catch(e){A(e instanceof Error?e.message:String(e),`error`)}}function $r({id:e,input:t,title:n}){return(0,K.jsxs)(`label`,{className:`button nodrag upload`,children:[S(`Choose a picture…`),(0,K.jsx)(`input`,{type:`file`,accept:`image/*`,className:`hidden`,"aria-label":S(`{{title}}: choose a picture`,{title:n}),onChange:n=>void Qr(e,t,n.target.files?.[0])})]})}function ei(e,t,n){let r=n.inputs.find(Qe),i=e.dataTransfer.files[0];r&&i?.type.startsWith(`image/`)&&(e.preventDefault(),e.stopPropagation(),Qr(t,r,i))}function ti({id:e,run:t,shape:n,values:r,title:i,top:a,height:o}){let s=n.inputs.find(Qe),c=s?r[s.name]:void 0,l=s?.choices.includes(c)||String(c).endsWith(`]`),u=c&&l?[`./view?${new URLSearchParams({filename:String(c),type:`input`}).toString()}`]:[],d=t.images??u;return(0,K.jsxs)(`div`,{className:`picture nodrag`,style:{top:a,height:o},children:[t.preview&&(0,K.jsx)(`img`,{src:t.preview,alt:S(`{{title}}: how far it is`,{title:i}),decoding:`async`,draggable:!1}),!t.preview&&d.map((e,t)=>(0,K.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":S(`{{title}}: picture {{at}} of {{count}}, show it large`,{title:i,at:t+1,count:d.length}),onClick:()=>M.setState({lightbox:{urls:d,at:t}}),children:(0,K.jsx)(`img`,{src:e,alt:``,decoding:`async`,draggable:!1})},e)),u.length>0&&(0,K.jsx)(`button`,{type:`button`,className:`button small picture-mask`,"aria-label":S(`{{title}}: edit the mask`,{title:i}),onClick:()=>F({kind:`mask`,node:e}),children:S(`Edit the mask`)}),t.texts?.map(e=>(0,K.jsx)(`pre`,{className:`nowheel`,children:e},e)),!t.preview&&d.length===0&&!t.texts&&(0,K.jsx)(`span`,{className:`faint`,children:S(`Run to see the result`)})]})}var ni=8;function ri({id:e,run:t,shape:n}){return(0,K.jsx)(`div`,{className:`node-errors nodrag nowheel`,children:t.errors?.map(t=>(0,K.jsxs)(`div`,{children:[(0,K.jsxs)(`p`,{children:[t.input&&(0,K.jsxs)(`strong`,{children:[t.input,`: `]}),t.message]}),t.choices.length>0&&n.inputs.some(e=>e.name===t.input)&&(0,K.jsxs)(`p`,{className:`choices`,children:[ii(t.choices,t.message).map(n=>(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>t.input&&D({kind:`value`,node:e,name:t.input,value:n}),children:n},n)),t.choices.length>ni&&(0,K.jsx)(`span`,{className:`faint`,children:S(`and {{count}} more`,{count:t.choices.length-ni})})]}),t.details.length>80&&t.input===null&&(0,K.jsxs)(`details`,{children:[(0,K.jsx)(`summary`,{children:S(`Details`)}),(0,K.jsx)(`pre`,{children:t.details})]})]},t.input+t.message))})}var ii=(e,t)=>[...e].sort((e,n)=>Number(t.includes(`'${n}'?`))-Number(t.includes(`'${e}'?`))).slice(0,ni);function ai(e,t,n){let r=T(e,t.title),i=y(O(),String(e.id)).size;return[r,r===t.title?``:t.title,S(`links in: {{links}}`,{links:i}),S(`links out: {{links}}`,{links:ot(O(),String(e.id)).length}),qe(e)===2?S(`muted`):``,qe(e)===4?S(`bypassed`):``,n.state?S(Wr[n.state]??``):``].filter(Boolean).join(`, `)}var oi=()=>[0,0],si=e=>{oi=e},ci=()=>oi(),J=()=>[...M.getState().selected].filter(e=>x(O(),e)),Y=()=>J().length>0,li=()=>J().length>1,ui=()=>J().length===1,X=()=>J().flatMap(e=>x(O(),e)??[]),di=``,fi=`easel/clip`;function pi(){let{nodes:e,links:t}=Je(O(),Si());di=xt({[fi]:1,nodes:e,links:t}),navigator.clipboard?.writeText(di).catch(()=>void 0)}function mi(e){try{let t=ht(e);return kt(t)&&t[fi]===1?t:null}catch{return null}}function hi(e,t){let n=mi(e);if(!n)return!1;let{change:r,keys:i}=lt(O(),n,[40,40],t);return D(r),N(i),!0}async function gi(e){!hi(await navigator.clipboard?.readText?.().catch(()=>di)||di,e)&&!hi(di,e)&&A(S(`There is nothing to paste.`))}function _i(){let{change:e,keys:t}=lt(O(),Je(O(),Si()),[40,40],!0);D(e),N(t)}var vi=()=>Y()||M.getState().selectedLinks.size>0;function yi(){let e=Si();e.length===0?(D({kind:`unlink`,links:[...M.getState().selectedLinks]}),M.setState({selectedLinks:new Set})):(D({kind:`remove`,nodes:e}),N([]),A(S(`Deleted: {{count}}. Undo brings it back.`,{count:e.length})))}function bi(e){let t=X().every(t=>qe(t)===e);D({kind:`patch`,nodes:J(),fields:{mode:t?0:e}})}function xi(){let e=Zn(X(),b());e&&(D({kind:`add`,nodes:[],links:[],groups:[{title:S(`Group`),bounding:[...e],color:`#3f789e`,font_size:24,flags:{}}]}),N([]))}var Si=()=>J().filter(e=>!Nt(e));function Ci(){let{change:e,key:t}=jt(O(),b(),Si(),S(`Subgraph`));D(e),N([t]),A(S(`The selection is a subgraph now: open it from its header, or with {{keys}}.`,{keys:W(`Shift+Enter`)}))}function wi(){let e=mt(O(),b(),J()[0]??``);e&&(D(e.change),N(e.keys))}var Ti=()=>ui()&&X().some(e=>b().get(e.type)?.subgraph);function Ei(e){let t=X().filter(e=>!et(e)).map(e=>{let t=_(b(),e),{width:n,height:r}=P(t,e,t.isOutput),[i,a]=k(e);return{key:v(e),x:i,y:a,width:n,height:r}}),n=Object.fromEntries(e(t).map(({key:e,x:t,y:n})=>[e,[Math.round(t),Math.round(n)]]));D({kind:`move`,to:n})}var Di=(e,t)=>Math.min(...e.map(t)),Oi=(e,t)=>Math.max(...e.map(t));function ki(e,t,n){let r=[...e].sort((e,n)=>e[t]-n[t]),[i,a]=[Di(e,e=>e[t]),Oi(e,e=>e[t]+e[n])],o=r.reduce((e,t)=>e+t[n],0),s=Math.max(16,(a-i-o)/Math.max(1,r.length-1)),c=i;return r.map(e=>{let r={...e,[t]:c};return c+=e[n]+s,r})}var Ai={left:e=>e.map(t=>({...t,x:Di(e,e=>e.x)})),right:e=>e.map(t=>({...t,x:Oi(e,e=>e.x+e.width)-t.width})),top:e=>e.map(t=>({...t,y:Di(e,e=>e.y)})),bottom:e=>e.map(t=>({...t,y:Oi(e,e=>e.y+e.height)-t.height}))},ji=()=>[...Object.entries(Ai).map(([e,t])=>({id:`edit.align.${e}`,title:`Align at the ${e}`,keys:[],when:li,perform:()=>Ei(t)})),{id:`edit.spread.across`,title:`Spread evenly from left to right`,keys:[],when:li,perform:()=>Ei(e=>ki(e,`x`,`width`))},{id:`edit.spread.down`,title:`Spread evenly from top to bottom`,keys:[],when:li,perform:()=>Ei(e=>ki(e,`y`,`height`))}];function Mi(){let e=[...M.getState().selectedLinks].flatMap(e=>{let t=O().links.find(t=>t.id===e),[n,r]=[t&&x(O(),t.from),t&&x(O(),t.to)];if(!n||!r)return[];let[i,a]=[k(n),k(r)];return[{kind:`reroute`,link:e,pos:[(i[0]+a[0])/2+130,(i[1]+a[1])/2]}]});D({kind:`all`,changes:e})}function Ni(e,t){let n=Object.fromEntries(X().filter(e=>!et(e)).map(n=>{let[r,i]=k(n);return[v(n),[r+e,i+t]]}));D({kind:`move`,to:n},`nudge ${Object.keys(n).join()}`)}var Pi=10,Fi=()=>[[`Left`,-10,0],[`Right`,Pi,0],[`Up`,0,-10],[`Down`,0,Pi]].map(([e,t,n])=>({id:`edit.move${e}`,title:`Move selection ${e.toLowerCase()}`,keys:[`Arrow${e}`],when:Y,perform:()=>Ni(t,n)})),Ii=[{id:`edit.undo`,title:`Undo`,keys:[`Mod+Z`],when:()=>C.temporal.getState().pastStates.length>0,perform:St,inText:!0},{id:`edit.redo`,title:`Redo`,keys:[`Mod+Shift+Z`,`Mod+Y`],when:()=>C.temporal.getState().futureStates.length>0,perform:gt,inText:!0},{id:`edit.add`,title:`Add node…`,keys:[`Shift+A`,`Insert`],when:U,perform:()=>I({kind:`nodes`,at:null,pending:null})},{id:`edit.connect`,title:`Connect…`,keys:[`C`],when:ui,perform:()=>I({kind:`connect`,node:J()[0]??``,port:null})},{id:`edit.disconnect`,title:`Remove all links of the selection`,keys:[`Shift+X`],when:Y,perform:()=>{let e=O();D({kind:`unlink`,links:J().flatMap(t=>[...y(e,t).values(),...ot(e,t)].map(e=>e.id))})}},{id:`edit.delete`,title:`Delete`,keys:[`Delete`,`Backspace`],when:vi,perform:yi},{id:`edit.copy`,title:`Copy`,keys:[`Mod+C`],when:Y,perform:pi},{id:`edit.cut`,title:`Cut`,keys:[`Mod+X`],when:Y,perform:()=>{pi(),yi()}},{id:`edit.paste`,title:`Paste`,keys:[`Mod+V`],when:U,perform:()=>gi(!1)},{id:`edit.pasteLinked`,title:`Paste with incoming links`,keys:[`Mod+Shift+V`],when:U,perform:()=>gi(!0)},{id:`edit.duplicate`,title:`Duplicate`,keys:[`Mod+D`],when:Y,perform:_i},{id:`edit.selectAll`,title:`Select all`,keys:[`Mod+A`],when:U,perform:()=>N(O().nodes.map(v))},{id:`edit.selectNone`,title:`Select nothing`,keys:[`Escape`],when:Y,perform:()=>N([])},{id:`edit.mute`,title:`Mute`,keys:[`Mod+M`],when:Y,perform:()=>bi(2)},{id:`edit.bypass`,title:`Bypass`,keys:[`Mod+B`],when:Y,perform:()=>bi(4)},{id:`edit.collapse`,title:`Collapse or expand`,keys:[`Alt+C`],when:Y,perform:()=>D({kind:`flag`,nodes:J(),flag:`collapsed`,on:!X().every(Et)})},{id:`edit.pin`,title:`Pin or unpin`,keys:[`P`],when:Y,perform:()=>D({kind:`flag`,nodes:J(),flag:`pinned`,on:!X().every(et)})},{id:`edit.rename`,title:`Rename`,keys:[`F2`],when:ui,perform:()=>M.setState({renaming:J()[0]??null})},{id:`edit.mask`,title:`Edit the mask of the picture…`,keys:[],when:()=>ui()&&X().some(e=>_(b(),e).inputs.some(Qe)),perform:()=>F({kind:`mask`,node:J()[0]??``})},{id:`edit.group`,title:`Group selection`,keys:[`Mod+G`],when:Y,perform:xi},{id:`edit.subgraph`,title:`Make a subgraph of the selection`,keys:[`Mod+Shift+G`],when:()=>Si().length>0,perform:Ci},{id:`edit.unpack`,title:`Unpack the subgraph`,keys:[],when:Ti,perform:wi},{id:`edit.enter`,title:`Open the subgraph`,keys:[`Shift+Enter`],when:Ti,perform:()=>{vt(J()[0]??``)?M.setState(e=>({selected:new Set,fit:e.fit+1})):A(S(`This subgraph is open already.`))}},{id:`edit.leave`,title:`Go back to the outer graph`,keys:[`Shift+Escape`],when:()=>C.getState().outer.length>0,perform:()=>{bt(C.getState().outer.length-1),M.setState(e=>({selected:new Set,fit:e.fit+1}))}},{id:`edit.reroute`,title:`Add a point to the chosen link`,keys:[],when:()=>M.getState().selectedLinks.size>0,perform:Mi},...ji(),{id:`edit.arrange`,title:`Arrange automatically`,keys:[`Shift+L`],when:()=>O().nodes.length>0,perform:()=>{let e=J().length>1?new Set(J()):void 0;D({kind:`move`,to:zt(O(),b(),e)}),M.setState(e=>({fit:e.fit+1}))}},...Fi()],Li=`{
  "last_node_id": 8,
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
        "base.safetensors"
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
        "a red cube on top of a blue sphere, on green grass"
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
        128,
        128,
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
        25,
        4.0,
        "dpmpp_2m",
        "karras",
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
    },
    {
      "id": 8,
      "type": "MarkdownNote",
      "pos": [
        0.0,
        -260.0
      ],
      "size": [
        610.0,
        150.0
      ],
      "flags": {},
      "order": 0,
      "mode": 0,
      "inputs": [],
      "outputs": [],
      "properties": {},
      "widgets_values": [
        "A picture from a text: the sampler starts from noise and follows the positive prompt, away from the negative one. A number on a word, as (horse:1.2), makes it count more; the same seed gives the same picture."
      ],
      "title": "What this does"
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
`;function Ri(){let e=Object.assign(document.createElement(`input`),{type:`file`,accept:`.json,.png,.webp,application/json,image/png,image/webp`,multiple:!0});e.onchange=()=>{for(let t of e.files??[])un(t)},e.click()}function zi(){let e=Qt();e&&An(e.id)}function Bi(e){let{tabs:t,active:n}=L.getState(),r=t[(t.findIndex(e=>e.id===n)+e+t.length)%t.length];r&&rn(r.id)}var Vi=[{id:`file.new`,title:`New workflow`,keys:[`Alt+N`],when:U,perform:()=>void Cn(),inText:!0},{id:`file.template`,title:`Start from text to image`,keys:[],when:U,perform:()=>Tn(Li,`Text to image.json`)},{id:`file.open`,title:`Open…`,keys:[`Mod+O`],when:U,perform:Ri,inText:!0},{id:`file.save`,title:`Save`,keys:[`Mod+S`],when:U,perform:bn,inText:!0},{id:`file.saveAs`,title:`Save as…`,keys:[`Mod+Shift+S`],when:U,perform:()=>F({kind:`save`}),inText:!0},{id:`file.export`,title:`Export as a file`,keys:[`Mod+Alt+S`],when:U,perform:mn,inText:!0},{id:`file.exportApi`,title:`Export for programs (API form)`,keys:[],when:U,perform:Sn},{id:`file.close`,title:`Close this workflow`,keys:[`Alt+W`],when:U,perform:zi,inText:!0},{id:`file.rename`,title:`Rename this workflow`,keys:[],when:U,perform:()=>M.setState({renaming:`tab`})},{id:`file.nextTab`,title:`Next workflow`,keys:[`Alt+PageDown`],when:U,perform:()=>Bi(1),inText:!0},{id:`file.previousTab`,title:`Previous workflow`,keys:[`Alt+PageUp`],when:U,perform:()=>Bi(-1),inText:!0}],Hi=e=>e.then(()=>void 0,e=>A(e instanceof Error?e.message:String(e),`error`)),Ui=[{id:`run.queue`,title:`Run`,keys:[`Mod+Enter`],when:U,perform:()=>fn(),inText:!0},{id:`run.front`,title:`Run before all others`,keys:[`Mod+Shift+Enter`],when:U,perform:()=>fn(!0),inText:!0},{id:`run.interrupt`,title:`Stop the running job`,keys:[`Mod+Alt+Enter`],when:()=>R.getState().remaining>0,perform:()=>Hi(Xt()),inText:!0},{id:`run.sweep`,title:`Sweep: run with several values…`,keys:[],when:U,perform:()=>F({kind:`sweep`})},{id:`run.pause`,title:`Pause the queue`,keys:[],when:U,perform:()=>Hi(Jt(!0))},{id:`run.resume`,title:`Resume the queue`,keys:[],when:U,perform:()=>Hi(Jt(!1))},{id:`run.clear`,title:`Clear all waiting jobs`,keys:[],when:()=>R.getState().remaining>0,perform:()=>Hi(Dn())}],Wi=()=>{let[e]=M.getState().selected;return e===void 0?void 0:x(O(),e)},Gi=[{id:`view.commands`,title:`All commands…`,keys:[`Mod+K`,`Mod+Shift+P`],when:U,perform:()=>I({kind:`commands`}),inText:!0},{id:`view.find`,title:`Find a node…`,keys:[`Mod+F`],when:U,perform:()=>I({kind:`find`})},{id:`view.fit`,title:`Show the whole graph`,keys:[`.`],when:U,perform:()=>M.setState(e=>({fit:e.fit+1}))},{id:`view.workflows`,title:`Workflows panel`,keys:[`W`],when:U,perform:()=>j(`workflows`)},{id:`view.models`,title:`Models panel`,keys:[`B`],when:U,perform:()=>j(`models`)},{id:`view.properties`,title:`Properties of the selection`,keys:[`I`],when:U,perform:()=>Bt(`properties`)},{id:`view.form`,title:`Form view: the inputs that matter`,keys:[`F`],when:U,perform:()=>Bt(`form`)},{id:`view.timing`,title:`What ran, why, and how long it took`,keys:[`T`],when:U,perform:()=>Bt(`timing`)},{id:`view.nodeHelp`,title:`What is this node?`,keys:[`H`],when:()=>Wi()!==void 0,perform:()=>F({kind:`help`,type:Wi()?.type??``})},{id:`view.diff`,title:`What changed since it was saved?`,keys:[],when:U,perform:()=>{let e=Qt();e&&F({kind:`diff`,other:pt(e.saved),name:e.name})}},{id:`view.tour`,title:`Show the tour`,keys:[],when:U,perform:()=>V({toured:!1})},{id:`view.settings`,title:`Settings…`,keys:[`Mod+,`],when:U,perform:()=>F({kind:`settings`,page:`general`}),inText:!0},{id:`view.outline`,title:`Outline panel`,keys:[`O`],when:U,perform:()=>j(`outline`)},{id:`view.queue`,title:`Queue and history panel`,keys:[`Q`],when:U,perform:()=>j(`queue`)},{id:`view.gallery`,title:`Pictures panel`,keys:[`G`],when:U,perform:()=>j(`gallery`)},{id:`view.problems`,title:`Problems panel`,keys:[`E`],when:U,perform:()=>j(`problems`)},{id:`view.minimap`,title:`Show or hide the map`,keys:[`M`],when:U,perform:()=>V({minimap:!Rn().minimap})},{id:`view.snap`,title:`Snap to the grid, or not`,keys:[],when:U,perform:()=>V({snap:!Rn().snap})},{id:`view.help`,title:`Keyboard shortcuts`,keys:[`?`],when:U,perform:()=>F({kind:`settings`,page:`keys`})},...[`system`,`dark`,`light`].map(e=>({id:`view.theme.${e}`,title:`Colours: ${e}`,keys:[],when:U,perform:()=>V({theme:e})}))],Z=[...Ui,...Ii,...Vi,...Gi],Ki=null;function qi(){let{keys:e}=Rn();if(Ki?.keys===e)return Ki.map;let t=new Map,n=Z.filter(t=>t.id in e);for(let e of[...n,...Z])for(let n of H(e))t.has(n)||t.set(n,e);return Ki={keys:e,map:t},t}var Ji=(e,t)=>Z.filter(n=>n.id!==e&&H(n).includes(t)),Yi=e=>{let t=Z.find(t=>t.id===e);if(!t)throw Error(`there is no command ${e}`);return t};function Xi(e){if(e.isComposing||e.defaultPrevented||Ft())return null;let t=Gn(e),n=qi().get(t);if(!n?.when())return null;if(Kn(e.target))return n.inText?n:null;let r=[`Space`,`Enter`].includes(t)||t.startsWith(`Arrow`),i=e.target instanceof Element?e.target:null;return r&&i?.closest(`button, a, input, [role=listbox], [role=menu], [role=tablist], [role=tree]`)?null:n}function Zi(e){return!Ft()&&qi().get(Gn(e))?.inText===!0}function Qi(){let e=e=>{let t=Xi(e);t?(e.preventDefault(),t.perform()):Zi(e)&&e.preventDefault()};return addEventListener(`keydown`,e),()=>removeEventListener(`keydown`,e)}var $i={"edit.mute":`Mute`,"edit.bypass":`Bypass`,"edit.duplicate":`Duplicate`,"edit.group":`Group`,"edit.subgraph":`Subgraph`,"view.nodeHelp":`Help`,"edit.delete":`Delete`};function ea(){let e=M(e=>e.selected),t=M(e=>e.pending),n=[...e];return n.length===0||t?null:(0,K.jsx)(Me,{nodeId:n,isVisible:!0,position:he.Top,offset:10,children:(0,K.jsx)(`div`,{className:`toolbox`,role:`toolbar`,"aria-label":S(`Selection`),children:Object.entries($i).map(([e,t])=>{let n=Z.find(t=>t.id===e);if(!n?.when())return null;let r=H(n)[0];return(0,K.jsx)(`button`,{type:`button`,className:`button small`,title:r?`${S(n.title)} (${W(r)})`:S(n.title),onClick:()=>void n.perform(),children:S(t)},e)})})})}var Q=14,ta={easel:Ur,frame:Ar},na={link:Nr},ra=[10,10],ia=.05,aa={padding:.12,maxZoom:1},oa={hideAttribution:!1},sa=null,ca=[`Shift`,`Control`,`Meta`],la={};function ua(){return(0,K.jsx)(Le,{children:(0,K.jsx)(da,{})})}function da(){let e=fe(),[t,n]=(0,z.useState)(null),r=_a(t),i=xa(),a=M(e=>e.fit),o=M(e=>e.locate),{minimap:s,snap:c,theme:l,wheel:u}=B(),d=(0,z.useRef)(null),f=(0,z.useRef)(r);f.current=r;let p=(0,z.useRef)(new Map);(0,z.useEffect)(()=>si(()=>{let t=d.current?.getBoundingClientRect()??new DOMRect,{x:n,y:r}=e.screenToFlowPosition({x:t.x+t.width/2-130,y:t.y+t.height/2-100});return[Math.round(n),Math.round(r)]}),[e]),(0,z.useEffect)(()=>{let t=requestAnimationFrame(()=>ma(e,f.current,d.current));return()=>cancelAnimationFrame(t)},[a,e]),(0,z.useEffect)(()=>{let t=o&&e.getNode(o.node);t&&e.setCenter(t.position.x+(t.width??0)/2,t.position.y+(t.height??0)/2,{zoom:Math.max(e.getZoom(),1),duration:ga()})},[o,e]);let m=(0,z.useCallback)(e=>{let t=new Set(M.getState().selected),r={},i=!1;for(let n of e)if(n.type===`select`&&!n.id.startsWith(`group:`))i=!0,n.selected?t.add(n.id):t.delete(n.id);else if(n.type===`position`&&n.dragging&&n.position)r[n.id]=[n.position.x,n.position.y];else if(n.type===`dimensions`&&n.resizing===!0&&n.dimensions){n.id.startsWith(`group:`)&&fa(n.id,n.dimensions);let e=x(O(),n.id);e&&D({kind:`resize`,node:n.id,pos:k(e),size:[Math.round(n.dimensions.width),Math.round(n.dimensions.height)]},`resize ${n.id}`)}i&&N(t),Object.keys(r).length&&n(e=>({...e,...r,...wa(r,p.current)}))},[]),ee=(0,z.useCallback)((e,t)=>{p.current=t.id.startsWith(`group:`)?Ca(t.id):new Map},[]),te=(0,z.useCallback)(()=>{n(e=>(e&&queueMicrotask(()=>Ta(e)),null))},[]),re=(0,z.useCallback)(e=>{let t=new Set(M.getState().selectedLinks);for(let n of e)n.type===`select`&&(n.selected?t.add(Number(n.id)):t.delete(Number(n.id)));M.setState({selectedLinks:t})},[]),ie=(0,z.useCallback)(e=>zr(Lr(e)),[]),h=(0,z.useCallback)((e,t)=>{let n=Lr(t);n&&g(O(),b(),n.from,n.to).ok&&D({kind:`all`,changes:[{kind:`unlink`,links:[Number(e.id)]},{kind:`link`,...n}]})},[]),ae=(0,z.useCallback)((e,t,n,r)=>{r.toHandle?r.isValid||Br(r):D({kind:`unlink`,links:[Number(t.id)]})},[]),oe=(0,z.useRef)(!1),se=(0,z.useCallback)((e,{nodeId:t,handleId:n,handleType:r})=>{t&&n&&M.setState({pending:r===`source`?{from:Fr(t,n)}:{to:Ir(t,n)}})},[]),le=(0,z.useCallback)((t,n)=>{let{pending:r}=M.getState();if(M.setState({pending:null}),!r||n.isValid||oe.current)return;if(n.toHandle)return Br(n);let i=`changedTouches`in t?t.changedTouches[0]:t,a=(document.elementFromPoint(i?.clientX??0,i?.clientY??0)?.closest(`.react-flow__node`))?.dataset.id;if(a&&!a.startsWith(`group:`))return Vr(r,a);let{x:o,y:s}=e.screenToFlowPosition({x:i?.clientX??0,y:i?.clientY??0});I({kind:`nodes`,at:[Math.round(o),Math.round(s)],pending:r})},[e]),ue=(0,z.useCallback)(t=>{if(!(t.target instanceof Element)||!t.target.classList.contains(`react-flow__pane`))return;let{x:n,y:r}=e.screenToFlowPosition({x:t.clientX,y:t.clientY});I({kind:`nodes`,at:[Math.round(n),Math.round(r)],pending:null})},[e]),de=(0,z.useCallback)((t,n)=>{let{x:r,y:i}=e.screenToFlowPosition({x:t.clientX,y:t.clientY});D({kind:`reroute`,link:Number(n.id),pos:[Math.round(r),Math.round(i)]})},[e]),pe=(0,z.useCallback)(e=>{let t=e.target,n=t.classList.contains(`react-flow__node`)?t.dataset.id:void 0;n&&t.matches(`:focus-visible`)&&!n.startsWith(`group:`)&&N([n])},[]);return(0,K.jsx)(`div`,{className:`canvas`,ref:d,onDoubleClick:ue,onFocus:pe,onPointerDownCapture:pa,children:(0,K.jsxs)(Te,{nodes:r,edges:i,nodeTypes:ta,edgeTypes:na,onEdgeDoubleClick:de,onNodesChange:m,onEdgesChange:re,onNodeDragStart:ee,onNodeDragStop:te,onSelectionDragStop:te,onConnect:ie,onConnectStart:se,onConnectEnd:le,isValidConnection:Rr,onReconnectStart:()=>{oe.current=!0},onReconnect:h,onReconnectEnd:(e,t,n,r)=>{ae(e,t,n,r),oe.current=!1},colorMode:l,minZoom:ia,maxZoom:4,snapToGrid:c,snapGrid:ra,deleteKeyCode:sa,multiSelectionKeyCode:ca,selectionMode:ke.Partial,edgesFocusable:!1,disableKeyboardA11y:!0,zoomOnDoubleClick:!1,zoomOnScroll:u===`zoom`,panOnScroll:u===`pan`,onlyRenderVisibleElements:!0,connectionLineType:ze.Bezier,connectionRadius:24,reconnectRadius:12,proOptions:oa,defaultViewport:{x:40,y:60,zoom:.8},"aria-label":S(`Workflow graph`),children:[(0,K.jsx)(ce,{gap:20}),(0,K.jsx)(ir,{}),(0,K.jsx)(ea,{}),(0,K.jsx)(ne,{showInteractive:!1,fitViewOptions:aa,position:`bottom-left`}),s&&(0,K.jsx)(ve,{nodeColor:ha,pannable:!0,zoomable:!0,ariaLabel:S(`Map of the graph`),position:`bottom-right`})]})})}function fa(e,{width:t,height:n}){let r=Or(e),i=O().groups[r];if(!i)return;let[a,o]=qn(i),s=[a,o,Math.round(t),Math.round(n)];D({kind:`group`,place:r,group:{...i,bounding:s}},`resize ${e}`)}function pa(e){e.target instanceof Element&&e.target.classList.contains(`react-flow__pane`)&&Kn(document.activeElement)&&document.activeElement.blur()}function ma(e,t,n){if(t.length===0||!n)return;let r=Math.min(...t.map(e=>e.position.x)),i=Math.min(...t.map(e=>e.position.y)),a=Math.max(...t.map(e=>e.position.x+(e.width??0))),o=Math.max(...t.map(e=>e.position.y+(e.height??0))),s={x:r,y:i,width:a-r,height:o-i};e.setViewport(Ie(s,n.clientWidth,n.clientHeight,ia,aa.maxZoom,aa.padding))}var ha=e=>e.type===`frame`?`transparent`:`var(--faint)`,ga=()=>matchMedia(`(prefers-reduced-motion: reduce)`).matches?0:160;function _a(e){let t=C(e=>e.doc),n=w(e=>e.definitions),r=M(e=>e.selected),i=L(e=>e.active),a=R(e=>e.nodes[i]),o=C(e=>At(e.outer)),s=(0,z.useRef)(new Map);return(0,z.useMemo)(()=>{let i=new Map;for(let c of t.nodes){let t=v(c),l=a?.[o+t]??la,u=e?.[t]??k(c),d=r.has(t),f=s.current.get(t),p=f&&f.node===c&&va(f.run,l)&&f.selected===d&&f.definitions===n&&f.at[0]===u[0]&&f.at[1]===u[1];i.set(t,p?f:{node:c,run:l,selected:d,at:u,definitions:n,made:ya(c,l,d,u,n)})}return s.current=i,[...t.groups.map((t,n)=>Sa(t,n,e)),...[...i.values()].map(e=>e.made)]},[t.nodes,t.groups,n,r,a,e,o])}var va=(e,t)=>e===t||e.state===t.state&&!e.preview==!t.preview&&!e.images==!t.images&&!e.texts==!t.texts;function ya(e,t,n,r,i){let a=_(i,e),o=P(a,e,Hr(a,t));return{id:v(e),type:`easel`,position:{x:r[0],y:r[1]},data:{},selected:n,width:o.width,height:o.height,draggable:!et(e),handles:ba(o),ariaLabel:ai(e,a,t),...e.type===`Reroute`?{}:{dragHandle:`.node-header, .far-title, .sockets-row, .row-label`}}}var ba=e=>[...[...e.inputs].map(([e,t])=>({id:`in:${e}`,type:`target`,position:he.Left,x:-7,y:t-Q/2,width:Q,height:Q})),...e.outputs.map((t,n)=>({id:`out:${n}`,type:`source`,position:he.Right,x:e.width-Q/2,y:t-Q/2,width:Q,height:Q}))];function xa(){let e=C(e=>e.doc),t=w(e=>e.definitions),n=M(e=>e.selectedLinks),r=(0,z.useRef)(new Map);return(0,z.useMemo)(()=>{let i=new Map;for(let a of e.links){let[o]=G(String(a.type??`*`)),s=x(e,a.from),c=x(e,a.to);if(!s||!c||!_(t,s).outputs[a.output]||!_(t,c).inputs.some(e=>e.name===a.input))continue;let l=r.current.get(a.id),u=`out:${a.output}`,d=`in:${a.input}`,f=n.has(a.id),p=l?.source===a.from&&l.target===a.to&&l.sourceHandle===u&&l.targetHandle===d&&l.selected===f;i.set(a.id,p?l:{id:String(a.id),type:`link`,source:a.from,target:a.to,sourceHandle:u,targetHandle:d,selected:f,style:{stroke:o},interactionWidth:14,reconnectable:!0})}return r.current=i,[...i.values()]},[e,t,n])}function Sa(e,t,n){let[r,i,a,o]=qn(e),s=`${Dr}${t}`,c=n?.[s]??[r,i];return{id:s,type:`frame`,position:{x:c[0],y:c[1]},data:{group:e},width:a,height:o,zIndex:-1,selectable:!1,focusable:!1,dragHandle:`.frame-title`,handles:[]}}function Ca(e){let t=O().groups[Or(e)];if(!t)return new Map;let[n,r]=qn(t);return new Map(Jn(O(),t).map(e=>{let[t,i]=k(e);return[v(e),[t-n,i-r]]}))}function wa(e,t){let n=Object.entries(e).find(([e])=>e.startsWith(Dr))?.[1];return n?Object.fromEntries([...t].map(([e,[t,r]])=>[e,[n[0]+t,n[1]+r]])):{}}function Ta(e){let t=Object.entries(e).filter(([e])=>!e.startsWith(Dr)).map(([e,[t,n]])=>[e,[Math.round(t),Math.round(n)]]),n=Object.entries(e).filter(([e])=>e.startsWith(Dr)).flatMap(([e,[t,n]])=>{let r=Or(e),i=O().groups[r];if(!i)return[];let[,,a,o]=qn(i);return[{kind:`group`,place:r,group:{...i,bounding:[Math.round(t),Math.round(n),a,o]}}]});D({kind:`all`,changes:[{kind:`move`,to:Object.fromEntries(t)},...n]})}function Ea(){let e=C(e=>e.outer),t=w(e=>e.definitions),{tabs:n,active:r}=L();if(e.length===0)return null;let i=e.map(e=>{let n=x(e.doc,e.node);return n?T(n,t.get(e.id)?.title??S(`Subgraph`)):S(`Subgraph`)}),a=[n.find(e=>e.id===r)?.name??``,...i];return(0,K.jsx)(`nav`,{className:`crumbs`,"aria-label":S(`Open subgraphs`),children:a.map((t,n)=>(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-current":n===e.length?`page`:void 0,onClick:()=>{bt(n),M.setState(e=>({selected:new Set,fit:e.fit+1}))},children:t},n))})}var Da=(0,z.lazy)(()=>E(()=>import(`./Compare.js`),__vite__mapDeps([0]),import.meta.url)),Oa=(0,z.lazy)(()=>E(()=>import(`./MaskEditor.js`),__vite__mapDeps([0]),import.meta.url)),ka=(0,z.lazy)(()=>E(()=>import(`./Diff.js`),__vite__mapDeps([0]),import.meta.url)),Aa=(0,z.lazy)(()=>E(()=>import(`./NodeHelp.js`),__vite__mapDeps([0]),import.meta.url)),ja=(0,z.lazy)(()=>E(()=>import(`./Sweep.js`),__vite__mapDeps([0]),import.meta.url)),Ma=(0,z.lazy)(()=>E(()=>import(`./Settings.js`),__vite__mapDeps([0]),import.meta.url)),Na=(0,z.lazy)(()=>E(()=>import(`./SaveDialog.js`),__vite__mapDeps([0]),import.meta.url)),Pa={save:()=>(0,K.jsx)(Na,{}),settings:({page:e})=>(0,K.jsx)(Ma,{page:e}),help:({type:e})=>(0,K.jsx)(Aa,{type:e}),sweep:()=>(0,K.jsx)(ja,{}),diff:({other:e,name:t})=>(0,K.jsx)(ka,{other:e,name:t}),mask:({node:e})=>(0,K.jsx)(Oa,{node:e}),compare:({urls:e})=>(0,K.jsx)(Da,{urls:e})},Fa=new Set([`mask`,`compare`,`diff`,`sweep`,`settings`]);function Ia(){let e=M(e=>e.dialog);return(0,K.jsx)(Ge,{open:e!==null,onOpenChange:e=>!e&&F(null),children:(0,K.jsxs)(pe,{children:[(0,K.jsx)(i,{className:`backdrop`}),(0,K.jsxs)(We,{className:`dialog dialog-${e?.kind} ${e&&Fa.has(e.kind)?`is-wide`:``}`,children:[e&&(0,K.jsx)(z.Suspense,{fallback:(0,K.jsx)(Ue,{children:`…`}),children:Pa[e.kind](e)}),(0,K.jsx)(ie,{className:`icon-button dialog-close`,"aria-label":S(`Close`),children:(0,K.jsx)(h,{size:16})})]})]})})}var La=e=>kt(e.root.extra)?e.root.extra:{},Ra=e=>{let{easel:t}=La(e);return kt(t)?t:{}},za=e=>{let{form:t}=Ra(e);return wt(t)?t.map(String):null},Ba=(e,t,n)=>za(e)?.includes(`${t}.${n}`)??!1;function Va(e,t,n){let r=`${t}.${n}`,i=za(e)??[],a=i.includes(r)?i.filter(e=>e!==r):[...i,r],{form:o,...s}=Ra(e),{easel:c,...l}=La(e),u=a.length?{...s,form:a}:s;return{...e.root,extra:Object.keys(u).length?{...l,easel:u}:l}}var Ha=[`text`,`image`,`seed`,`noise_seed`,`steps`,`cfg`,`width`,`height`,`denoise`,`batch_size`,`ckpt_name`];function Ua(e,t){let n=(n,r)=>{let i=_(t,n).inputs.find(e=>e.name===r&&e.widget!==null);return i&&!y(e,v(n)).has(r)?[{node:n,input:i}]:[]},r=za(e);return r?r.flatMap(t=>{let r=t.indexOf(`.`),i=x(e,t.slice(0,r));return i?n(i,t.slice(r+1)):[]}):Ha.flatMap(r=>e.nodes.filter(e=>!t.get(e.type)?.isVirtual).flatMap(e=>n(e,r)))}function Wa({node:e,input:t,prefix:n}){let r=w(e=>e.definitions),i=v(e),a=C(e=>y(e.doc,i).has(t.name)),o=_(r,e),s=yt(o,e),c=`${n} ${T(e,o.title)}: ${t.name}`,l=typeof t.options.tooltip==`string`?t.options.tooltip:void 0;return(0,K.jsxs)(`div`,{className:`value-row ${t.options.multiline===!0?`is-long`:``}`,title:l,children:[(0,K.jsx)(`span`,{className:`row-label`,children:t.name}),(0,K.jsx)(yr,{node:i,input:t,value:s[t.name]??null,label:c,isLinked:a}),ut(t)&&!a&&(0,K.jsx)(Tr,{node:i,input:t,value:s[Ye(t.name)]??null,label:S(`{{label}} after a run`,{label:c})})]})}var Ga={"":`None`,"#3f789e":`Blue`,"#3f8a5a":`Green`,"#a1763a":`Amber`,"#a04848":`Red`,"#8a5d9e":`Violet`},Ka={0:`Runs`,2:`Muted`,4:`Bypassed`};function qa(){let e=M(e=>e.selected),t=C(e=>e.doc),n=[...e].flatMap(e=>x(t,e)??[]);return n.length===0?(0,K.jsx)(`p`,{className:`faint`,children:S(`Choose a node to see what it is made of.`)}):n.slice(0,20).map(e=>(0,K.jsx)(Ja,{node:e},v(e)))}function Ja({node:e}){let t=w(e=>e.definitions),n=C(e=>e.doc),r=C(e=>e.outer.length>0),i=v(e),a=_(t,e),o=T(e,a.title),s=(e,t)=>D({kind:`patch`,nodes:[i],fields:e},t);return(0,K.jsxs)(`section`,{className:`form`,"aria-label":o,children:[(0,K.jsxs)(`label`,{children:[S(`Name`),(0,K.jsx)(`input`,{className:`field`,value:typeof e.title==`string`?e.title:``,placeholder:a.title,onChange:e=>s({title:e.target.value},`title ${i}`)})]}),(0,K.jsxs)(`p`,{className:`faint`,children:[`${a.title} · ${i}`,a.deprecated?` · ${S(`outdated`)}`:``,` `,(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>F({kind:`help`,type:e.type}),children:S(`What is this?`)})]}),(0,K.jsxs)(`div`,{className:`pair`,children:[(0,K.jsxs)(`label`,{children:[S(`Colour`),(0,K.jsx)(`select`,{className:`field`,value:typeof e.color==`string`?e.color:``,onChange:e=>s({color:e.target.value}),children:Object.entries(Ga).map(([e,t])=>(0,K.jsx)(`option`,{value:e,children:S(t)},e))})]}),(0,K.jsxs)(`label`,{children:[S(`Mode`),(0,K.jsx)(`select`,{className:`field`,value:qe(e),onChange:e=>s({mode:Number(e.target.value)}),children:Object.entries(Ka).map(([e,t])=>(0,K.jsx)(`option`,{value:e,children:S(t)},e))})]})]}),a.inputs.filter(e=>e.widget).map(t=>(0,K.jsxs)(`div`,{className:`with-pin`,children:[(0,K.jsx)(Wa,{node:e,input:t,prefix:S(`Properties of`)}),!r&&(0,K.jsx)(`input`,{type:`checkbox`,"aria-label":S(`Show {{name}} of {{title}} in the form`,{name:t.name,title:o}),title:S(`Show in the form`),checked:Ba(n,i,t.name),onChange:()=>D({kind:`root`,root:Va(n,i,t.name)})})]},t.name))]})}var Ya=(0,z.lazy)(()=>E(()=>import(`./FormView.js`),__vite__mapDeps([0]),import.meta.url)),Xa=(0,z.lazy)(()=>E(()=>import(`./Timing.js`),__vite__mapDeps([0]),import.meta.url)),Za={properties:[`Properties`,()=>(0,K.jsx)(qa,{})],form:[`Form`,()=>(0,K.jsx)(Ya,{})],timing:[`What ran, and why`,()=>(0,K.jsx)(Xa,{})]};function Qa(){let e=M(e=>e.inspector);if(!e)return null;let[t,n]=Za[e];return(0,K.jsxs)(`aside`,{className:`inspector`,"aria-label":S(t),children:[(0,K.jsxs)(`div`,{className:`side-head`,children:[(0,K.jsx)(`h2`,{children:S(t)}),(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Close {{name}}`,{name:S(t)}),onClick:()=>M.setState({inspector:null}),children:(0,K.jsx)(h,{size:16})})]}),(0,K.jsx)(`div`,{className:`side-body`,children:(0,K.jsx)(z.Suspense,{fallback:(0,K.jsx)(`p`,{className:`faint`,children:`…`}),children:n()})})]})}var $a=/\.(png|webp|jpe?g|gif)$/i;async function eo(){let e=await Ht(`internal/files/output`);return(wt(e)?e.map(String):[]).filter(e=>$a.test(e)).map(e=>qt({filename:e,subfolder:``,type:`output`}))}var to=e=>new URLSearchParams(e.split(`?`)[1]).get(`filename`)??``,no=e=>Ht(e.replace(/^\.\//,``),{method:`DELETE`});async function ro(e){let t=await fetch(e);if(!t.ok)throw Error(S(`{{name}} cannot be read.`,{name:to(e)}));return new File([await t.blob()],to(e))}function io(){let e=e=>e!==void 0&&_(b(),e).inputs.some(Qe);return[...M.getState().selected].map(e=>x(O(),e)).find(e)??O().nodes.find(e)}async function ao(e){let t=await Kt(await ro(e));await cn();let n=io(),r=b().get(`LoadImage`);if(n){let e=_(b(),n).inputs.find(Qe);e&&D({kind:`value`,node:v(n),name:e.name,value:t}),N([v(n)])}else if(r){let e=Math.max(0,...O().nodes.map(e=>wt(e.pos)?Number(e.pos[1]):0)),n=rt(r,Mt(O(),r,[0,e+420],[270,320]),`image`,t);D({kind:`add`,nodes:[n],links:[]}),N([v(n)])}A(S(`{{name}} is now an input of this workflow.`,{name:t}))}var oo=()=>M.setState({lightbox:null}),so=e=>M.setState(({lightbox:t})=>{if(!t)return{};let{urls:n,at:r}=t;return{lightbox:{urls:n,at:(r+e+n.length)%n.length}}}),co=e=>{e.key===`ArrowRight`&&so(1),e.key===`ArrowLeft`&&so(-1)};function lo(){let e=M(e=>e.lightbox);return(0,K.jsx)(Ge,{open:e!==null,onOpenChange:e=>!e&&oo(),children:(0,K.jsxs)(pe,{children:[(0,K.jsx)(i,{className:`backdrop`}),(0,K.jsx)(We,{className:`lightbox`,onKeyDown:co,children:e&&(0,K.jsx)(uo,{urls:e.urls,at:e.at})})]})})}function uo({urls:e,at:t}){let[n,r]=(0,z.useState)(!1),i=e[t]??``,a=to(i),o=i.includes(`type=output`),s=e=>void e().catch(vn),c=async()=>{await no(i),R.setState(e=>({turn:e.turn+1})),A(S(`{{name}} was deleted.`,{name:a}));let n=e.filter(e=>e!==i);M.setState({lightbox:n.length?{urls:n,at:Math.min(t,n.length-1)}:null})};return(0,K.jsxs)(K.Fragment,{children:[(0,K.jsxs)(`div`,{className:`lightbox-head`,children:[(0,K.jsx)(Ue,{className:`lightbox-title`,children:a}),(0,K.jsx)(`span`,{className:`faint`,children:e.length>1?S(`{{at}} of {{count}}`,{at:t+1,count:e.length}):``}),(0,K.jsxs)(`div`,{className:`lightbox-tools`,children:[(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>s(async()=>un(await ro(i)).then(oo)),children:S(`Open its workflow`)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>s(()=>ao(i).then(oo)),children:S(`Send to input`)}),e.length>1&&(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>{oo(),F({kind:`compare`,urls:[i,e[(t+1)%e.length]??i]})},children:S(`Compare with the next`)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-pressed":n,onClick:()=>r(!n),children:S(`Real size`)}),(0,K.jsx)(`a`,{className:`button small`,href:i,download:a,children:S(`Download`)}),o&&(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>s(c),children:S(`Delete`)})]}),(0,K.jsx)(ie,{className:`icon-button`,"aria-label":S(`Close the picture`),children:(0,K.jsx)(h,{size:16})})]}),(0,K.jsxs)(`div`,{className:`lightbox-body`,children:[(0,K.jsxs)(`div`,{className:`lightbox-stage ${n?`is-real`:``}`,children:[e.length>1&&(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Previous picture`),onClick:()=>so(-1),children:(0,K.jsx)(l,{})}),(0,K.jsx)(`img`,{src:i,alt:a}),e.length>1&&(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Next picture`),onClick:()=>so(1),children:(0,K.jsx)(oe,{})})]}),(0,K.jsx)(fo,{url:i},i)]})]})}function fo({url:e}){let[t,n]=(0,z.useState)(null);return(0,z.useEffect)(()=>{let t=!1;return ro(e).then($t).then(e=>!t&&n(po(e.prompt)),()=>!t&&n([])),()=>{t=!0}},[e]),(0,K.jsxs)(`section`,{className:`recipe`,"aria-label":S(`What it was made with`),children:[(0,K.jsx)(`h3`,{children:S(`What it was made with`)}),t?.length===0&&(0,K.jsx)(`p`,{className:`faint`,children:S(`The file does not say.`)}),t?.map(e=>(0,K.jsxs)(`dl`,{children:[(0,K.jsx)(`dt`,{children:e.node}),e.values.map(([e,t])=>(0,K.jsxs)(`dd`,{children:[(0,K.jsx)(`span`,{className:`faint`,children:e}),` `,t]},e))]},e.node))]})}function po(e){let t;try{t=ht(e??`null`)}catch{return[]}return tt(t)?Object.entries(t).flatMap(([e,t])=>{let n=t,r=Object.entries(n.inputs??{}).filter(([,e])=>!wt(e)).map(([e,t])=>[e,String(t)]);return r.length?[{node:`${n._meta?.title??n.class_type} (${e})`,values:r}]:[]}):[]}var mo=[`edit.connect`,`edit.rename`,`edit.collapse`,`edit.mute`,`edit.bypass`,`edit.pin`,`edit.group`,`edit.subgraph`,`edit.enter`,`edit.unpack`,`edit.duplicate`,`edit.copy`,`edit.cut`,`edit.disconnect`,`edit.delete`],ho=[`edit.add`,`edit.paste`,`edit.selectAll`,`edit.arrange`,`edit.leave`,`view.fit`,`edit.undo`,`edit.redo`];function go({children:e}){let t=M(e=>e.selected.size>0);return(0,K.jsxs)(Oe,{children:[(0,K.jsx)(me,{className:`stage`,onContextMenu:e=>{let t=e.target instanceof Element?e.target.closest(`.react-flow__node`)?.dataset.id:void 0;!t||t.startsWith(`group:`)?N([]):M.getState().selected.has(t)||N([t])},children:e}),(0,K.jsx)(Fe,{children:(0,K.jsx)(Re,{className:`positioner`,children:(0,K.jsx)(Ae,{className:`menu`,"aria-label":S(t?`Selection`:`Canvas`),children:(t?mo:ho).map(Yi).map(e=>(0,K.jsxs)(Ce,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,K.jsx)(`span`,{children:S(e.title)}),(0,K.jsx)(`kbd`,{children:W(H(e)[0]??``)})]},e.id))})})})]})}var _o=100,vo=()=>I(null);function yo(){let e=M(e=>e.palette);return(0,K.jsx)(Ge,{open:e!==null,onOpenChange:e=>!e&&vo(),children:(0,K.jsxs)(pe,{children:[(0,K.jsx)(i,{className:`backdrop`}),(0,K.jsx)(We,{className:`palette`,children:e&&(0,K.jsx)(xo,{palette:e},bo(e))})]})})}var bo=e=>e.kind===`connect`&&e.port?`to`:e.kind;function xo({palette:e}){let t=(0,z.useMemo)(()=>So(e),[e]),[n,r]=(0,z.useState)(``),[i,a]=(0,z.useState)(0),o=(0,z.useId)(),s=(0,z.useRef)(null),c=(0,z.useRef)(null),l=(0,z.useMemo)(()=>new Ne(t.items,{keys:[{name:`title`,weight:3},{name:`note`,weight:1},{name:`more`,weight:1}],threshold:.35,ignoreLocation:!0}),[t]),u=e=>e.id.toLowerCase()===n.trim().toLowerCase()?0:1,d=(n?l.search(n).map(e=>e.item):[...t.items]).sort((e,t)=>u(e)-u(t)).slice(0,_o);(0,z.useEffect)(()=>{s.current?.focus()},[]),(0,z.useEffect)(()=>{c.current?.scrollIntoView({block:`nearest`})},[i]);let f=e=>{e&&e.choose()!==!0&&vo()};return(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(Ue,{className:`palette-title`,children:t.label}),(0,K.jsx)(`input`,{ref:s,className:`palette-field`,type:`text`,role:`combobox`,"aria-label":t.label,"aria-expanded":`true`,"aria-controls":o,autoComplete:`off`,spellCheck:!1,"aria-activedescendant":d[i]?`${o}-${i}`:void 0,value:n,onKeyDown:e=>{let t={ArrowDown:1,ArrowUp:-1,PageDown:8,PageUp:-8}[e.key];e.key===`Enter`&&!e.nativeEvent.isComposing?(e.preventDefault(),f(d[i])):t&&(e.preventDefault(),a(Math.max(0,Math.min(d.length-1,i+t))))},placeholder:S(`Type to search`),onChange:e=>{r(e.target.value),a(0)}}),(0,K.jsx)(`div`,{id:o,role:`listbox`,"aria-label":t.label,className:`palette-list`,children:d.map((e,t)=>(0,K.jsxs)(`div`,{id:`${o}-${t}`,ref:t===i?c:null,role:`option`,"aria-selected":t===i,tabIndex:-1,onClick:()=>f(e),onMouseMove:()=>a(t),children:[e.hue&&(0,K.jsx)(`span`,{className:`dot`,style:{background:e.hue}}),(0,K.jsx)(`span`,{className:`palette-name`,children:e.title}),(0,K.jsx)(`span`,{className:`palette-note`,children:e.note})]},e.id))}),d.length===0&&(0,K.jsx)(`p`,{className:`palette-none`,children:t.none})]})}function So(e){switch(e.kind){case`commands`:return{label:S(`Commands`),none:S(`No command is called that.`),items:Z.filter(e=>e.when()&&e.id!==`view.commands`).map(e=>({id:e.id,title:S(e.title),note:H(e).map(W).join(`  `),more:e.id,choose:()=>(vo(),e.perform(),!0)}))};case`nodes`:return{label:e.pending?S(`Add a node that fits`):S(`Add a node`),none:S(`No node is called that.`),items:Co(e.at,e.pending)};case`find`:return{label:S(`Find a node in this workflow`),none:S(`No node of this workflow is called that.`),items:O().nodes.map(e=>{let t=_(b(),e);return{id:v(e),title:T(e,t.title),note:`${e.type} · ${v(e)}`,more:``,choose:()=>Pt(v(e))}})};case`connect`:return e.port?{label:S(`To`),none:S(`Nothing in this workflow fits. Add a node for it first.`),items:Oo(e.port)}:{label:S(`Connect`),none:S(`This node has no sockets.`),items:Do(e.node)}}}function Co(e,t){let n=O(),r=b(),i=t&&`from`in t?nt(n,r,t.from):null,a=t&&`to`in t?x(n,t.to.node):void 0,o=a&&t&&`to`in t?_(r,a).inputs.find(e=>e.name===t.to.input)?.type:void 0,s=e=>i===null?o===void 0||e.outputs.some(e=>st(e.type,o)):e.inputs.some(e=>st(i,e.type)),c=e=>i!==null&&e.inputs.some(e=>e.type===i&&!e.widget)?0:1;return[...r.values()].filter(e=>e.type!==`easel/inputs`&&e.type!==`easel/outputs`).filter(s).sort((e,t)=>c(e)-c(t)||e.title.localeCompare(t.title)).map(n=>({id:n.type,title:n.title,note:n.category,more:`${n.type} ${n.outputs.map(e=>e.type).join(` `)} ${n.description}`,hue:n.outputs[0]?G(n.outputs[0].type)[0]:`var(--faint)`,choose:()=>wo(n,e,t)}))}function wo(e,t,n){let r=O(),i=b(),a=Mt(r,e,[0,0],[270,0]),{width:o,height:s}=P(e,a,e.isOutput),c=r.nodes.map(e=>{let t=_(i,e),n=P(t,e,t.isOutput);return{pos:k(e),size:[n.width,n.height]}}),l={...a,pos:[...t??Lt(c,[o,s],ci())],size:[o,s]},u={kind:`add`,nodes:[l],links:[]},d=ct(r,u,i),f=v(l),p=n&&(`from`in n?n.from:$e(d,i,n.to,f)),m=n&&(`to`in n?n.to:Ze(d,i,n.from,f));D(p&&m?{kind:`all`,changes:[u,{kind:`link`,from:p,to:m}]}:u),N([f]),Eo(f)}var To=30;function Eo(e,t=To){let n=document.querySelector(`.react-flow__node[data-id="${CSS.escape(e)}"]`),r=document.querySelector(`.palette`)!==null;n&&!r&&n.focus(),(!n||r||document.activeElement!==n)&&t>0&&setTimeout(()=>Eo(e,t-1),30)}function Do(e){let t=x(O(),e);if(!t)return[];let n=_(b(),t),r=t=>(I({kind:`connect`,node:e,port:t}),!0),i=y(O(),e);return[...n.outputs.map((t,n)=>({id:`out:${n}`,title:`${t.name} →`,note:`output, ${t.type}`,more:``,hue:G(t.type)[0],choose:()=>r({from:{node:e,output:n}})})),...n.inputs.map(t=>({id:`in:${t.name}`,title:`→ ${t.name||`input`}`,note:`input, ${t.type}${i.has(t.name)?`, linked`:``}`,more:``,hue:G(t.type)[0],choose:()=>r({to:{node:e,input:t.name}})}))]}function Oo(e){let t=O(),n=b(),r=(e,t,n)=>()=>{D({kind:`link`,from:e,to:t}),A(S(`Linked: {{words}}.`,{words:n}))},i=[];for(let a of t.nodes){let o=v(a),s=_(n,a),c=T(a,s.title);if(`from`in e)for(let l of s.inputs){let s={node:o,input:l.name};if(!g(t,n,e.from,s).ok)continue;let u=y(t,o).has(l.name);i.push({id:`${o} ${l.name}`,title:`${c}: ${l.name}`,note:`${u?`replaces a link · `:``}${o}`,more:a.type,hue:G(l.type)[0],choose:r(e.from,s,`${c}, ${l.name}`)})}else s.outputs.forEach((s,l)=>{let u={node:o,output:l};g(t,n,u,e.to).ok&&i.push({id:`${o} ${l}`,title:`${c}: ${s.name}`,note:o,more:a.type,hue:G(s.type)[0],choose:r(u,e.to,`${c}, ${s.name}`)})})}return i}function ko(){let e=C(e=>e.doc),t=w(e=>e.definitions),n=M(e=>e.selected),r=L(e=>e.active),i=C(e=>At(e.outer)),a=R(e=>e.nodes[r]);if(e.nodes.length===0)return(0,K.jsx)(`p`,{className:`faint`,children:S(`This workflow is empty.`)});let o=e=>e?T(e,_(t,e).title):`?`;return(0,K.jsx)(`ol`,{className:`outline`,children:Ao(e.nodes,t=>[...y(e,t).values()].map(e=>e.from)).map(r=>{let s=v(r),c=[...y(e,s).values()];return(0,K.jsxs)(`li`,{children:[(0,K.jsxs)(`button`,{type:`button`,"aria-pressed":n.has(s),onClick:()=>Pt(s),children:[o(r),` `,(0,K.jsx)(`span`,{className:`faint`,children:s}),(0,K.jsx)(`span`,{className:`hidden`,children:ai(r,_(t,r),a?.[i+s]??{})})]}),c.length>0&&(0,K.jsx)(`ul`,{"aria-label":S(`Links into {{name}}`,{name:o(r)}),children:c.map(t=>(0,K.jsx)(`li`,{children:`${t.input||S(`input`)} ← ${o(x(e,t.from))}`},t.id))})]},s)})})}function Ao(e,t){let n=new Map(e.map(e=>[v(e),e])),r=new Set,i=[];for(let e of n.keys()){let a=[[e,!1]];for(let e=a.pop();e;e=a.pop()){let[o,s]=e,c=n.get(o);s&&c?i.push(c):r.has(o)||(r.add(o),a.push([o,!0],...t(o).map(e=>[e,!1])))}}return i}function jo(){let e=C(e=>e.doc),{definitions:t,isLoaded:n}=w(),r=L(e=>e.active),{nodes:i,problem:a}=R(),o=C(e=>At(e.outer)),s=n?yn(Ot()):[],c=n?e.nodes.flatMap(n=>{let r=t.get(n.type);if(!r||r.isVirtual||typeof n.mode==`number`&&[2,4].includes(n.mode))return[];let i=y(e,v(n));return r.inputs.filter(e=>!e.widget&&!e.optional&&!i.has(e.name)).map(e=>[n,e.name])}):[],l=Object.entries(i[r]??{}).filter(([e])=>e.startsWith(o)).flatMap(([e,t])=>(t.errors??[]).map(t=>[e.slice(o.length),t])).filter(([t])=>x(e,t)),u=e=>T(e,_(t,e).title),d=s.length+c.length+l.length===0;return(0,K.jsxs)(K.Fragment,{children:[d&&(0,K.jsx)(`p`,{className:`faint`,children:a??S(`Nothing stands in the way of a run.`)}),s.length>0&&(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(`h3`,{children:S(`Missing node types`)}),(0,K.jsx)(`ul`,{className:`problems`,children:s.map(t=>(0,K.jsxs)(`li`,{children:[(0,K.jsx)(`code`,{children:t}),` `,e.nodes.filter(e=>e.type===t).map(e=>(0,K.jsx)(Mo,{node:v(e),name:u(e)},v(e)))]},t))})]}),c.length>0&&(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(`h3`,{children:S(`Inputs without a link`)}),(0,K.jsx)(`ul`,{className:`problems`,children:c.map(([e,t])=>(0,K.jsxs)(`li`,{children:[`${u(e)}: ${t}`,` `,(0,K.jsx)(Mo,{node:v(e),name:u(e)})]},`${v(e)} ${t}`))})]}),l.length>0&&(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(`h3`,{children:S(`The last run`)}),(0,K.jsx)(`ul`,{className:`problems`,children:l.map(([t,n])=>{let r=x(e,t);return(0,K.jsxs)(`li`,{children:[`${r?u(r):t}${n.input?`, ${n.input}`:``}: ${n.message}`,` `,(0,K.jsx)(Mo,{node:t,name:r?u(r):t})]},t+n.input+n.message)})})]})]})}var Mo=({node:e,name:t})=>(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Locate {{name}} ({{node}})`,{name:t,node:e}),onClick:()=>Pt(e),children:S(`Locate`)});function No(){let e=R(e=>e.turn),[t,n]=(0,z.useState)([]);return(0,z.useEffect)(()=>{let e=!1,t=setTimeout(()=>void Promise.all([Ut(),eo()]).then(([t,r])=>{Po=new Set(r),e||n(t)},()=>void 0),120);return()=>{e=!0,clearTimeout(t)}},[e]),t}var Po=new Set,Fo=e=>e.includes(`type=output`)&&e.includes(`subfolder=&`),Io=e=>Object.values(e.outputs).flatMap(e=>on(e).images??[]).filter(e=>!Fo(e)||Po.has(e)),Lo={running:[],pending:[],isPaused:!1};function Ro(){let e=R(e=>e.turn),[t,n]=(0,z.useState)(Lo),r=No();(0,z.useEffect)(()=>{let e=!1;return Promise.all([Yt(),gn()]).then(([t,r])=>!e&&n({...t,isPaused:r}),()=>void 0),()=>{e=!0}},[e]);let i=e=>void e.then(()=>R.setState(e=>({turn:e.turn+1})),vn),a=t.pending.length;return(0,K.jsxs)(K.Fragment,{children:[(0,K.jsxs)(`div`,{className:`tools`,children:[(0,K.jsxs)(`button`,{type:`button`,className:`button small`,onClick:()=>i(Jt(!t.isPaused)),children:[t.isPaused?(0,K.jsx)(m,{size:12}):(0,K.jsx)(s,{size:12}),S(t.isPaused?`Resume the queue`:`Pause the queue`)]}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,disabled:a===0,onClick:()=>i(Dn()),children:S(`Clear all waiting`)})]}),t.isPaused&&(0,K.jsx)(`p`,{className:`notice`,children:S(`Paused: what runs will end, nothing more is started.`)}),(0,K.jsx)(`h3`,{children:S(`Running and waiting`)}),t.running.length+a===0&&(0,K.jsx)(`p`,{className:`faint`,children:S(`Nothing is running.`)}),(0,K.jsxs)(`ul`,{className:`jobs`,children:[t.running.map(e=>(0,K.jsx)(zo,{job:e,stop:()=>i(Xt())},e.id)),t.pending.map((e,t)=>(0,K.jsxs)(`li`,{children:[(0,K.jsx)(`span`,{className:`glyph glyph-queued`}),` `,(0,K.jsx)(Vo,{job:e}),(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Move {{job}} up`,{job:$(e)}),disabled:t===0,onClick:()=>i(hn(e.id,t)),children:(0,K.jsx)(c,{size:14})}),(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Move {{job}} down`,{job:$(e)}),disabled:t===a-1,onClick:()=>i(hn(e.id,t+2)),children:(0,K.jsx)(d,{size:14})}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Remove {{job}}`,{job:$(e)}),onClick:()=>i(Wt([e.id])),children:S(`Remove`)})]},e.id))]}),(0,K.jsx)(`h3`,{children:S(`Ended`)}),(0,K.jsx)(`ul`,{className:`jobs`,children:r.map(e=>(0,K.jsx)(Bo,{job:e,act:i},e.id))})]})}function zo({job:e,stop:t}){let n=R(t=>Math.round(100*xn(t,t.jobs[e.id])));return(0,K.jsxs)(`li`,{children:[(0,K.jsx)(`span`,{className:`glyph glyph-running`}),(0,K.jsxs)(`span`,{className:`job-words`,children:[(0,K.jsx)(Vo,{job:e}),(0,K.jsx)(`progress`,{max:100,value:n,"aria-label":S(`Progress of {{job}}`,{job:$(e)})})]}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Stop {{job}}`,{job:$(e)}),onClick:t,children:S(`Stop`)})]})}function Bo({job:e,act:t}){let n=e.status===`success`,r=$(e);return(0,K.jsxs)(`li`,{className:`job-ended`,children:[(0,K.jsx)(`span`,{className:`glyph glyph-${n?`finished`:`error`}`,role:`img`,"aria-label":S(n?`done`:`failed or stopped`)}),(0,K.jsx)(Ho,{job:e}),(0,K.jsxs)(`span`,{className:`job-words`,children:[(0,K.jsx)(Vo,{job:e}),e.message&&(0,K.jsx)(`span`,{className:`bad`,children:e.message}),(0,K.jsxs)(`span`,{className:`job-tools`,children:[(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Open the workflow of {{job}}`,{job:r}),onClick:()=>Tn(xt(e.workflow),$(e)),children:S(`Open`)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Run {{job}} again`,{job:r}),onClick:()=>t(Zt(e.id)),children:S(`Again`)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Compare the workflow of {{job}} with the open one`,{job:r}),onClick:()=>F({kind:`diff`,other:e.workflow,name:r}),children:S(`Compare`)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Delete {{job}}`,{job:r}),onClick:()=>t(en([e.id])),children:S(`Delete`)})]})]})]})}var $=e=>S(`job {{id}}`,{id:e.id.slice(0,8)}),Vo=({job:e})=>(0,K.jsx)(`span`,{className:`job-name`,title:e.id,children:$(e)});function Ho({job:e}){let t=Io(e);return t[0]?(0,K.jsx)(`button`,{type:`button`,className:`thumb small`,"aria-label":S(`Show the pictures of {{job}}`,{job:$(e)}),onClick:()=>M.setState({lightbox:{urls:t,at:0}}),children:(0,K.jsx)(`img`,{src:`${t[0]}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})}):(0,K.jsx)(`span`,{className:`thumb-empty`})}function Uo({text:e}){let t=w(e=>e.definitions),n=(0,z.useMemo)(()=>Wo(e,t),[e,t]);return n?(0,K.jsxs)(`svg`,{className:`graph-thumb`,viewBox:n.view,"aria-hidden":`true`,preserveAspectRatio:`xMidYMid meet`,children:[n.lines.map(e=>(0,K.jsx)(`path`,{d:e.path,fill:`none`,stroke:e.hue,strokeWidth:8,opacity:.8},e.key)),n.boxes.map(e=>(0,K.jsxs)(`g`,{children:[(0,K.jsx)(`rect`,{x:e.x,y:e.y,width:e.width,height:e.height,rx:14,className:`thumb-node`}),(0,K.jsx)(`rect`,{x:e.x,y:e.y,width:e.width,height:40,rx:14,fill:e.hue,opacity:.75})]},e.key))]}):(0,K.jsx)(`span`,{className:`graph-thumb`})}function Wo(e,t){let n;try{let r=ht(e);n=tt(r)?It(r,t):Ct(r)}catch{return null}if(n.nodes.length===0)return null;let r=new Map(n.nodes.map(e=>{let n=_(t,e),[r,i]=k(e);return[v(e),{...P(n,e,n.isOutput),x:r,y:i,shape:n}]})),i=[...r].map(([e,{x:t,y:n,width:r,height:i,shape:a}])=>{let o=a.outputs[0];return{key:e,x:t,y:n,width:r,height:i,hue:o?G(o.type)[0]:`var(--faint)`}}),a=n.links.flatMap(e=>{let[t,n]=[r.get(e.from),r.get(e.to)];if(!t||!n)return[];let[i,a]=[t.x+t.width,t.y+(t.outputs[e.output]??16)],[o,s]=[n.x,n.y+(n.inputs.get(e.input)??16)],c=Math.max(40,Math.abs(o-i)/2),l=`M${i},${a}C${i+c},${a} ${o-c},${s} ${o},${s}`;return[{key:e.id,path:l,hue:G(String(e.type??`*`))[0]}]}),o=Math.min(...i.map(e=>e.x))-30,s=Math.min(...i.map(e=>e.y))-30,c=Math.max(...i.map(e=>e.x+e.width))+30,l=Math.max(...i.map(e=>e.y+e.height))+30;return{view:`${o} ${s} ${c-o} ${l-s}`,boxes:i,lines:a}}function Go(){let[e,t]=(0,z.useState)(``),n=t=>t.toLowerCase().includes(e.toLowerCase());return(0,K.jsxs)(K.Fragment,{children:[(0,K.jsxs)(`div`,{className:`tools`,children:[(0,K.jsx)(`input`,{type:`search`,className:`field`,"aria-label":S(`Search workflows`),placeholder:S(`Search`),value:e,onChange:e=>t(e.target.value)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>F({kind:`save`}),children:S(`Save as…`)})]}),(0,K.jsx)(Ko,{wanted:n}),(0,K.jsx)(qo,{wanted:n})]})}function Ko({wanted:e}){let[t,n]=(0,z.useState)([]),[r,i]=(0,z.useState)(null),a=R(e=>e.turn),o=()=>void ln().then(n,()=>void 0);(0,z.useEffect)(o,[a]);let s=(e,t)=>{i(null);let n=`${e.replace(/[^/]*$/,``)}${t.replace(/\.json$/i,``)}.json`;t.trim()&&n!==e&&En(e,n).then(()=>{L.setState(({tabs:t})=>({tabs:t.map(t=>t.path===e?{...t,path:n,name:Vt(n)}:t)})),o()},vn)},c=e=>void sn(e).then(()=>{L.setState(({tabs:t})=>({tabs:t.map(t=>t.path===e?{...t,path:null}:t)})),A(S(`{{path}} was deleted.`,{path:e})),o()},vn),l=t.filter(t=>e(t.path));return(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(`h3`,{children:S(`Saved`)}),t.length===0&&(0,K.jsx)(`p`,{className:`faint`,children:S(`What you save is listed here.`)}),(0,K.jsx)(`ul`,{className:`jobs`,children:l.map(({path:e})=>(0,K.jsxs)(`li`,{children:[r===e?(0,K.jsx)(`input`,{className:`field`,"aria-label":S(`New name of {{path}}`,{path:e}),defaultValue:Vt(e),autoFocus:!0,onBlur:t=>s(e,t.target.value),onKeyDown:e=>{e.key===`Enter`&&e.currentTarget.blur(),e.key===`Escape`&&i(null)}}):(0,K.jsx)(`button`,{type:`button`,className:`link-button`,onClick:()=>void _n(e),children:e.replace(/\.json$/,``)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Rename {{path}}`,{path:e}),onClick:()=>i(e),children:S(`Rename`)}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":S(`Delete {{path}}`,{path:e}),onClick:()=>c(e),children:S(`Delete`)})]},e))})]})}function qo({wanted:e}){let[t,n]=(0,z.useState)([]);return(0,z.useEffect)(()=>{let e=!1;return(async()=>{for(let[t,r]of await On()){let i=await kn(t,r);if(e)return;n(e=>[...e.filter(e=>e.name!==r),{pack:t,name:r,text:i}])}})().catch(()=>void 0),()=>{e=!0}},[]),(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(`h3`,{children:S(`Templates`)}),(0,K.jsx)(`ul`,{className:`templates`,children:t.filter(t=>e(t.name)).map(({name:e,text:t})=>(0,K.jsx)(`li`,{children:(0,K.jsxs)(`button`,{type:`button`,className:`card`,onClick:()=>Tn(t,e),children:[(0,K.jsx)(Uo,{text:t}),(0,K.jsx)(`span`,{children:e})]})},e))})]})}var Jo=(0,z.lazy)(()=>E(()=>import(`./Gallery.js`),__vite__mapDeps([0]),import.meta.url)),Yo=(0,z.lazy)(()=>E(()=>import(`./Models.js`),__vite__mapDeps([0]),import.meta.url)),Xo={workflows:[`Workflows`,(0,K.jsx)(Ke,{size:18},`i`),()=>(0,K.jsx)(Go,{})],outline:[`Outline`,(0,K.jsx)(f,{size:18},`i`),()=>(0,K.jsx)(ko,{})],models:[`Models`,(0,K.jsx)(se,{size:18},`i`),()=>(0,K.jsx)(Yo,{})],gallery:[`Pictures`,(0,K.jsx)(re,{size:18},`i`),()=>(0,K.jsx)(Jo,{})],queue:[`Queue and history`,(0,K.jsx)(Ee,{size:18},`i`),()=>(0,K.jsx)(Ro,{})],problems:[`Problems`,(0,K.jsx)(o,{size:18},`i`),()=>(0,K.jsx)(jo,{})]};function Zo(){return(0,K.jsx)(`nav`,{className:`rail`,"aria-label":S(`Panels`),children:Object.keys(Xo).map(e=>(0,K.jsx)($o,{panel:e},e))})}function Qo(){let e=M(e=>e.panel);if(!e)return null;let[t,,n]=Xo[e];return(0,K.jsxs)(`aside`,{className:`side side-${e}`,"aria-label":S(t),children:[(0,K.jsxs)(`div`,{className:`side-head`,children:[(0,K.jsx)(`h2`,{children:S(t)}),(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`Close {{name}}`,{name:S(t)}),onClick:()=>M.setState({panel:null}),children:(0,K.jsx)(h,{size:16})})]}),(0,K.jsx)(`div`,{className:`side-body`,children:(0,K.jsx)(z.Suspense,{fallback:(0,K.jsx)(`p`,{className:`faint`,children:`…`}),children:n()})})]})}function $o({panel:e}){let t=M(t=>t.panel===e),n=R(e=>e.remaining),[r,i]=Xo[e],a=S(r),o=Z.find(t=>t.id===`view.${e}`),s=o&&H(o)[0];return(0,K.jsxs)(`button`,{type:`button`,className:`icon-button`,"aria-pressed":t,"aria-label":e===`queue`&&n?S(`{{name}}, {{remaining}} waiting`,{name:a,remaining:n}):a,title:s?`${a} (${W(s)})`:a,onClick:()=>j(e),children:[i,e===`queue`&&n>0&&(0,K.jsx)(`span`,{className:`badge`,"aria-hidden":`true`,children:n})]})}function es(){let e=M(e=>e.toasts);return(0,K.jsx)(`section`,{className:`toasts`,"aria-live":`polite`,"aria-label":S(`Messages`),children:e.map(e=>(0,K.jsxs)(`div`,{className:`toast is-${e.tone}`,children:[(0,K.jsx)(`span`,{children:e.text}),(0,K.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":S(`Dismiss this message`),onClick:()=>Rt(e.id),children:(0,K.jsx)(h,{size:14})})]},e.id))})}function ts(){return(0,K.jsxs)(`header`,{className:`topbar`,children:[(0,K.jsx)(rs,{}),(0,K.jsx)(is,{}),(0,K.jsx)(ss,{}),(0,K.jsx)(cs,{})]})}var ns=[[`File`,[`file.new`,`view.workflows`,`file.open`,`file.save`,`file.saveAs`,`file.export`,`file.exportApi`,`file.rename`,`file.close`]],[`Run`,[`run.queue`,`run.front`,`run.sweep`,`run.interrupt`,`run.pause`,`run.resume`]],[`Edit`,[`edit.undo`,`edit.redo`,`edit.add`,`view.find`,`edit.group`,`edit.subgraph`,`edit.arrange`]],[`View`,[`view.commands`,`view.fit`,`view.form`,`view.properties`,`view.timing`,`view.minimap`,`view.snap`,`view.settings`,`view.help`]]];function rs(){return(0,K.jsxs)(ge,{children:[(0,K.jsxs)(Ve,{className:`icon-button brand`,"aria-label":S(`Easel menu`),children:[(0,K.jsx)(u,{size:16}),(0,K.jsx)(`span`,{children:`Easel`})]}),(0,K.jsx)(Fe,{children:(0,K.jsx)(ye,{className:`positioner`,sideOffset:6,align:`start`,children:(0,K.jsx)(Ae,{className:`menu`,children:ns.map(([e,t])=>(0,K.jsxs)(de,{children:[(0,K.jsx)(xe,{className:`menu-label`,children:S(e)}),t.map(Yi).map(e=>(0,K.jsxs)(Ce,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,K.jsx)(`span`,{children:S(e.title)}),(0,K.jsx)(`kbd`,{children:W(H(e)[0]??``)})]},e.id))]},e))})})})]})}function is(){let{tabs:e,active:t}=L();return(0,K.jsxs)(`div`,{className:`tabs`,children:[(0,K.jsx)(`ul`,{"aria-label":S(`Open workflows`),children:e.map(e=>(0,K.jsx)(as,{tab:e,isActive:e.id===t},e.id))}),(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":S(`New workflow`),onClick:()=>Cn(),children:(0,K.jsx)(p,{size:16})})]})}function as({tab:e,isActive:t}){let n=C(n=>ft(t?n:e.state)!==e.saved),r=M(e=>e.renaming===`tab`)&&t;return(0,K.jsxs)(`li`,{className:t?`tab is-active`:`tab`,children:[r?(0,K.jsx)(Er,{title:e.name,label:S(`Name of the workflow`),done:t=>{M.setState({renaming:null}),t&&nn(e.id,t)}}):(0,K.jsxs)(`button`,{type:`button`,"aria-current":t?`page`:void 0,onClick:()=>rn(e.id),onDoubleClick:()=>M.setState({renaming:`tab`}),children:[e.name,n&&(0,K.jsx)(`span`,{role:`img`,"aria-label":S(`, not saved`),className:`dirty`})]}),(0,K.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":S(`Close {{name}}`,{name:e.name}),onClick:()=>An(e.id),children:(0,K.jsx)(h,{size:12})})]})}var os=100;function ss(){let e=M(e=>e.count),{remaining:t,online:n}=R(),r=e=>()=>void Yi(e).perform();return(0,K.jsxs)(`div`,{className:`run`,children:[(0,K.jsxs)(`button`,{type:`button`,className:`button primary`,onClick:r(`run.queue`),disabled:!n,title:`${S(`Run`)} (${W(`Mod+Enter`)})`,children:[(0,K.jsx)(m,{size:14}),` `,S(`Run`)]}),(0,K.jsx)(`input`,{type:`number`,className:`field count`,"aria-label":S(`How many times`),min:1,max:os,value:e,onChange:e=>M.setState({count:Math.max(1,Math.min(os,Math.round(Number(e.target.value))||1))})}),(0,K.jsxs)(`button`,{type:`button`,className:`button`,onClick:r(`run.interrupt`),disabled:t===0,title:`${S(`Stop`)} (${W(`Mod+Alt+Enter`)})`,children:[(0,K.jsx)(ee,{size:12}),` `,S(`Stop`)]})]})}function cs(){let e=M(e=>e.inspector);return(0,K.jsx)(`div`,{className:`inspectors`,children:ls.map(([t,n,r])=>{let i=Yi(n),a=H(i)[0];return(0,K.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-pressed":e===t,"aria-label":S(i.title),title:a?`${S(i.title)} (${W(a)})`:S(i.title),onClick:()=>void i.perform(),children:r},n)})})}var ls=[[`form`,`view.form`,(0,K.jsx)(r,{size:16},`i`)],[`properties`,`view.properties`,(0,K.jsx)(n,{size:16},`i`)],[`timing`,`view.timing`,(0,K.jsx)(a,{size:16},`i`)]],us=[[`.react-flow__node`,`A node`,`Each box does one thing: loads a model, reads your words, makes the picture. Change its fields here.`],[`.react-flow__handle.source`,`A link`,`Pull from a coloured point to one of the same kind to hand something on. By keyboard: press C on a node.`],[`.run .primary`,`Run`,`This makes the picture; so does Ctrl+Enter. Only what you changed is worked out anew.`],[`.brand`,`Save`,`Ctrl+S keeps the workflow on the server. Every picture also carries the workflow that made it.`]];function ds(){let e=B(e=>e.toured),[t,n]=(0,z.useState)(0);if(e)return null;let[r,i,a]=us[t]??[``,``,``],o=document.querySelector(r)?.getBoundingClientRect(),s=()=>V({toured:!0}),c=Math.min(Math.max(12,o?o.left:80),innerWidth-352),l=(o?.bottom??100)+14,u=l+190<innerHeight?l:Math.max(56,(o?.top??300)-190);return(0,K.jsxs)(`section`,{className:`tour`,style:{left:c,top:u},"aria-label":S(`A short tour`),"aria-live":`polite`,children:[(0,K.jsx)(`h2`,{children:S(i)}),(0,K.jsx)(`p`,{children:S(a)}),(0,K.jsxs)(`div`,{className:`dialog-buttons`,children:[(0,K.jsx)(`span`,{className:`faint`,children:S(`{{at}} of {{count}}`,{at:t+1,count:us.length})}),(0,K.jsx)(`button`,{type:`button`,className:`button small`,onClick:s,children:S(`Skip the tour`)}),(0,K.jsx)(`button`,{type:`button`,className:`button primary small`,onClick:()=>t+1<us.length?n(t+1):s(),children:S(t+1<us.length?`Next`:`Done`)})]})]})}var fs=(0,z.lazy)(()=>E(()=>import(`./FormView.js`),__vite__mapDeps([0]),import.meta.url));function ps(){(0,z.useEffect)(Qi,[]);let e=hs(),t=M(e=>e.phone===`form`)&&e;return(0,K.jsxs)(`div`,{className:`app`,onDragOver:e=>e.preventDefault(),onDrop:e=>{if(e.dataTransfer.files.length!==0){e.preventDefault();for(let t of e.dataTransfer.files)un(t)}},children:[(0,K.jsx)(ts,{}),(0,K.jsxs)(`div`,{className:`middle`,children:[(0,K.jsx)(Zo,{}),(0,K.jsx)(Qo,{}),(0,K.jsxs)(`main`,{children:[(0,K.jsx)(`h1`,{className:`hidden`,children:`Easel`}),t?(0,K.jsx)(z.Suspense,{fallback:null,children:(0,K.jsx)(`div`,{className:`phone-form`,children:(0,K.jsx)(fs,{})})}):(0,K.jsxs)(K.Fragment,{children:[(0,K.jsx)(go,{children:(0,K.jsx)(ua,{})}),(0,K.jsx)(Ea,{}),(0,K.jsx)(_s,{})]})]}),!e&&(0,K.jsx)(Qa,{})]}),(0,K.jsx)(ys,{}),e&&(0,K.jsx)(gs,{}),(0,K.jsx)(yo,{}),(0,K.jsx)(lo,{}),(0,K.jsx)(Ia,{}),(0,K.jsx)(es,{}),!e&&(0,K.jsx)(ds,{})]})}var ms=`(max-width: 720px)`;function hs(){let[e,t]=(0,z.useState)(()=>matchMedia(ms).matches);return(0,z.useEffect)(()=>{let e=matchMedia(ms),n=()=>t(e.matches);return e.addEventListener(`change`,n),()=>e.removeEventListener(`change`,n)},[]),e}function gs(){let{phone:e,panel:t}=M(),n=e=>()=>M.setState(e);return(0,K.jsx)(`nav`,{className:`phone-bar`,"aria-label":S(`Views`),children:[[`Form`,e===`form`&&!t,n({phone:`form`,panel:null})],[`Queue`,t===`queue`,n({panel:`queue`})],[`Pictures`,t===`gallery`,n({panel:`gallery`})],[`Workflows`,t===`workflows`,n({panel:`workflows`})],[`Graph`,e===`graph`&&!t,n({phone:`graph`,panel:null})]].map(([e,t,n])=>(0,K.jsx)(`button`,{type:`button`,className:`button`,"aria-pressed":t,onClick:n,children:S(e)},e))})}function _s(){return C(e=>e.doc.nodes.length===0)?(0,K.jsxs)(`div`,{className:`empty`,children:[(0,K.jsx)(`p`,{children:S(`An empty workflow`)}),[`file.template`,`edit.add`,`file.open`,`view.workflows`].map(Yi).map(e=>(0,K.jsx)(`button`,{type:`button`,className:`button`,onClick:()=>void e.perform(),children:S(e.title)},e.id)),(0,K.jsx)(`p`,{className:`faint`,children:S(`Or drop a workflow, or a picture you made, anywhere here.`)})]}):null}var vs=(e,t)=>Object.entries(e.nodes[t]??{}).find(([,e])=>e.state===`running`)?.[0];function ys(){let{online:e,remaining:t,running:n,jobs:r}=R(),i=w(e=>e.isLoaded),{tabs:a,active:o}=L(),s=n&&r[n]||o,c=R(e=>Math.round(100*xn(e,s))),l=R(e=>vs(e,s)),u=R(e=>l?e.nodes[s]?.[l]:void 0),d=C(e=>l?x(e.doc,l):void 0),f=u?.max?Math.round(100*(u.value??0)/u.max):0,p=a.find(e=>e.id===o)?.name??`Easel`,m=t>0;(0,z.useEffect)(()=>{document.title=m?`[${c}%] ${p} · Easel`:`${p} · Easel`},[m,c,p]);let ee=d?T(d,b().get(d.type)?.title??d.type):``,te=e?i?m?ee?`${ee} ${f}%`:S(`Running`):S(`Ready`):S(`The server is loading its nodes…`):S(`No connection; trying again. Your work is kept.`);return(0,K.jsxs)(`footer`,{className:`status`,children:[(0,K.jsx)(`span`,{className:`glyph glyph-${e?m?`running`:`finished`:`error`}`}),(0,K.jsx)(`span`,{role:`status`,children:te}),m&&(0,K.jsx)(`progress`,{max:100,value:c,"aria-label":S(`Progress of the running workflow`)}),t>1&&(0,K.jsx)(`span`,{className:`faint`,children:S(`{{count}} more waiting`,{count:t-1})})]})}var bs=`settings/easel.editor`;function xs(){let e=zn();Un(e=>Ht(bs,{method:`POST`,body:xt({...e})})),e||Ht(bs).then(e=>{kt(e)&&V(Fn(e))},()=>void 0)}var Ss=class extends z.Component{state={error:null};static getDerivedStateFromError(e){return{error:e instanceof Error?e.message:String(e)}}render(){return this.state.error===null?this.props.children:(0,K.jsxs)(`main`,{className:`failure`,role:`alert`,children:[(0,K.jsx)(`h1`,{children:`The editor has failed`}),(0,K.jsxs)(`p`,{children:[`What you made is kept in this browser. `,this.state.error]}),(0,K.jsx)(`button`,{type:`button`,className:`button primary`,onClick:()=>location.reload(),children:`Load it again`})]})}},Cs=Vn();xs(),Gt()||Tn(Li,`Text to image.json`),tn(),cn().then(()=>{dn(O()),M.setState(e=>({fit:e.fit+1}))}),pn(e=>{e||cn(),wn().catch(()=>void 0)}),addEventListener(`paste`,e=>{if(Kn(e.target))return;let t=e.clipboardData?.files[0],n=e.clipboardData?.getData(`text`)??``;t?un(t):n&&!hi(n,!1)&&n.trimStart().startsWith(`{`)&&Tn(n,`Pasted.json`)});function ws(){let e=Tt(e=>e.language);return(0,K.jsx)(Ss,{children:(0,K.jsx)(ps,{},e)})}var Ts=document.getElementById(`root`);Ts&&Cs.finally(()=>(0,jn.createRoot)(Ts).render((0,K.jsx)(z.StrictMode,{children:(0,K.jsx)(ws,{})})));export{W as _,eo as a,Fn as b,Z as c,ci as d,ur as f,Gn as g,H as h,to as i,Yi as l,G as m,No as n,Wa as o,cr as p,no as r,Ua as s,Io as t,Ji as u,Mn as v,B as x,V as y};