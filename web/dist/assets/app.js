import{n as e}from"./rolldown-runtime.js";import{A as t,B as n,C as r,D as i,E as a,F as o,G as s,H as c,I as l,J as u,K as d,L as f,M as p,N as m,O as ee,P as h,R as te,S as ne,T as re,U as ie,V as ae,W as oe,X as se,Y as ce,_ as le,a as ue,b as g,c as de,d as fe,f as pe,g as me,h as he,i as ge,j as _e,k as ve,l as ye,m as be,n as xe,o as Se,p as Ce,q as we,r as Te,s as Ee,t as De,u as Oe,v as ke,w as Ae,x as je,y as Me,z as Ne}from"./vendor.js";var _=e(se(),1),Pe=ce(),v=()=>!0,Fe=typeof navigator<`u`&&/mac/i.test(navigator.platform);function Ie(e){let t=e.key.length===1?e.key.toUpperCase():e.key,n=e.key.length===1&&!/[a-z0-9 ]/i.test(e.key);return[(Fe?e.metaKey:e.ctrlKey)?`Mod`:``,e.altKey?`Alt`:``,e.shiftKey&&!n?`Shift`:``,t===` `?`Space`:t].filter(Boolean).join(`+`)}var Le=e=>e.replace(`Mod`,Fe?`⌘`:`Ctrl`).replace(`Shift`,Fe?`⇧`:`Shift`).replace(`Alt`,Fe?`⌥`:`Alt`).replaceAll(`+`,Fe?``:`+`);function Re(e){return e instanceof HTMLElement?e.isContentEditable||e instanceof HTMLTextAreaElement||e instanceof HTMLSelectElement||e instanceof HTMLInputElement&&![`checkbox`,`button`,`range`,`radio`].includes(e.type):!1}var ze=/[\s]*([{}[\]:,]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y,Be=/^-?\d+$/,Ve=500;function He(e){if(!/\d{16}/.test(e))return JSON.parse(e);JSON.parse(e);let t=0,n=()=>{ze.lastIndex=t;let n=ze.exec(e)?.[1];if(n===void 0)throw SyntaxError(`JSON: nothing readable at character ${t}`);return t=ze.lastIndex,n},r=(e,t)=>{if(t>Ve)throw SyntaxError(`JSON: nested deeper than ${Ve}`);if(e===`[`){let e=[];for(let i=n();i!==`]`;i=n())i!==`,`&&e.push(r(i,t+1));return e}if(e===`{`){let e=[];for(let i=n();i!==`}`;i=n()){if(i===`,`)continue;let a=JSON.parse(i);n(),e.push([a,r(n(),t+1)])}return Object.fromEntries(e)}return Be.test(e)&&!Number.isSafeInteger(Number(e))?BigInt(e):JSON.parse(e)};return r(n(),0)}function Ue(e,t=0){let n=(e,r)=>{if(typeof e==`bigint`)return e.toString();if(typeof e!=`object`||!e)return JSON.stringify(e??null);let i=r+` `.repeat(t),a=Array.isArray(e)?e.map(e=>n(e,i)):Object.entries(e).filter(([,e])=>e!==void 0).map(([e,r])=>`${JSON.stringify(e)}:${t?` `:``}${n(r,i)}`),[o,s]=Array.isArray(e)?`[]`:`{}`;return a.length===0?`${o}${s}`:t?`${o}\n${i}${a.join(`,\n${i}`)}\n${r}${s}`:`${o}${a.join(`,`)}${s}`};return n(e,``)}var y=e=>typeof e==`object`&&!!e&&!Array.isArray(e),b=e=>Array.isArray(e),We=`a workflow file has "nodes" (saved by an editor) or nodes with "class_type" (for programs)`,x={root:{version:.4},nodes:[],links:[],groups:[],dangling:[]},Ge=(e,t)=>{let[n,r]=b(e)?e:y(e)?[e[0],e[1]]:[];return[typeof n==`number`?n:t[0],typeof r==`number`?r:t[1]]},S=e=>String(e.id),C=e=>Ge(e.pos,[0,0]),Ke=e=>Ge(e.size,[0,0]),qe=e=>typeof e.mode==`number`?e.mode:0,Je=e=>y(e.flags)&&e.flags.collapsed===!0,Ye=e=>y(e.flags)&&e.flags.pinned===!0,w=(e,t)=>b(e[t])?e[t].filter(y):[],T=(e,t)=>typeof e.title==`string`&&e.title!==``?e.title:t,Xe=new WeakMap;function Ze(e){let t=Xe.get(e.nodes);return t||(t=new Map(e.nodes.map(e=>[S(e),e])),Xe.set(e.nodes,t)),t}var E=(e,t)=>Ze(e).get(t),Qe=new WeakMap;function $e(e){let t=Qe.get(e.links);if(!t){let n=new Map,r=new Map;for(let t of e.links){let e=n.get(t.to)??new Map;n.set(t.to,e.set(t.input,t)),r.set(t.from,[...r.get(t.from)??[],t])}t={into:n,outOf:r},Qe.set(e.links,t)}return t}var et=new Map,tt=[],D=(e,t)=>$e(e).into.get(t)??et,nt=(e,t)=>$e(e).outOf.get(t)??tt,rt=e=>y(e)&&Object.values(e).length>0&&Object.values(e).every(e=>y(e)&&typeof e.class_type==`string`);function it(e){if(!y(e)||!b(e.nodes))throw Error(`This is no workflow: ${We}.`);let t=e.nodes.map((e,t)=>{if(!y(e)||typeof e.type!=`string`||![`number`,`string`].includes(typeof e.id))throw Error(`nodes[${t}]: a node has an "id" and a "type".`);return e}),n=new Map(t.map(e=>[S(e),e]));if(n.size!==t.length)throw Error(`Two nodes of this workflow have the same id.`);let r=new Map;for(let e of t)for(let t of w(e,`inputs`))typeof t.link==`number`&&typeof t.name==`string`&&r.set(t.link,[S(e),t.name]);let i=[],a=[];for(let t of b(e.links)?e.links:[]){let e=at(t,n,r);e?i.push(e):a.push(t)}return{root:e,nodes:t,links:i,groups:(b(e.groups)?e.groups:[]).filter(y),dangling:a}}function at(e,t,n){let[r,i,a,o,s,c]=b(e)?e:y(e)?[e.id,e.origin_id,e.origin_slot,e.target_id,e.target_slot,e.type]:[];if(typeof r!=`number`)return null;let l=t.get(String(o)),u=n.get(r),d=w(l??{},`inputs`)[Number(s)],f=u&&u[0]===String(o)?u[1]:d?.name;return!t.has(String(i))||!l||typeof f!=`string`||!Number.isInteger(Number(a))?null:{id:r,from:String(i),output:Number(a),to:String(o),input:f,type:c??`*`,raw:e}}function ot(e){let t=e.root.version===1,n=new Map,r=e.nodes.map(t=>st(e,t,n)),i=e.links.map(r=>{let i=n.get(r)??0,a=y(r.raw)?r.raw:{},o=E(e,r.from)?.id??r.from,s=E(e,r.to)?.id??r.to;return t?{...a,id:r.id,origin_id:o,origin_slot:r.output,target_id:s,target_slot:i,type:r.type}:[r.id,o,r.output,s,i,r.type]}),a={lastNodeId:lt(e),lastLinkId:ut(e)},o={...e.root,nodes:r,links:[...i,...e.dangling],groups:e.groups};return t?o.state={...y(e.root.state)?e.root.state:{},...a}:Object.assign(o,{last_node_id:a.lastNodeId,last_link_id:a.lastLinkId}),o.version===void 0&&(o.version=.4),o}function st(e,t,n){let r=D(e,S(t)),i=nt(e,S(t)),a=w(t,`inputs`).map(e=>{let t=r.get(String(e.name))?.id??null;return(e.link??null)===t?e:{...e,link:t}});for(let[e,t]of r){let r=a.findIndex(t=>t.name===e);n.set(t,r<0?a.length:r),r<0&&a.push({name:e,type:t.type,link:t.id})}let o=w(t,`outputs`).map((e,t)=>{let n=i.filter(e=>e.output===t).map(e=>e.id),r=b(e.links)?e.links:[];return r.length===n.length&&r.every(e=>n.includes(Number(e)))?e:{...e,links:n}}),s=(e,n)=>{let r=w(t,e);return r.length===n.length&&r.every((e,t)=>e===n[t])};return s(`inputs`,a)&&s(`outputs`,o)?t:{...t,inputs:a,outputs:o}}var ct=e=>Number.isSafeInteger(Number(e))?Number(e):0,lt=e=>Math.max(ct(e.root.last_node_id),y(e.root.state)?ct(e.root.state.lastNodeId):0,...e.nodes.map(e=>ct(e.id))),ut=e=>Math.max(ct(e.root.last_link_id),y(e.root.state)?ct(e.root.state.lastLinkId):0,...e.links.map(e=>e.id)),dt={INT:`int`,FLOAT:`float`,STRING:`text`,BOOLEAN:`toggle`,COMBO:`combo`},ft=new Set([`seed`,`noise_seed`]),pt=e=>({name:e,type:`STRING`,widget:`text`,choices:[],options:{multiline:!0},optional:!0}),mt=[{type:`Note`,title:`Note`,category:`utils`,description:`Text for people; it never runs.`,inputs:[pt(`text`)],outputs:[],isOutput:!1,isVirtual:!0},{type:`MarkdownNote`,title:`Markdown note`,category:`utils`,description:`Text for people; it never runs.`,inputs:[pt(`text`)],outputs:[],isOutput:!1,isVirtual:!0},{type:`Reroute`,title:`Reroute`,category:`utils`,description:`Passes a link on, to tidy a graph.`,inputs:[{name:``,type:`*`,widget:null,choices:[],options:{},optional:!1}],outputs:[{name:``,type:`*`,isList:!1}],isOutput:!1,isVirtual:!0}];function ht(e){let t=new Map(mt.map(e=>[e.type,e]));for(let[n,r]of Object.entries(y(e)?e:{}))y(r)&&t.set(n,gt(n,r));return t}function gt(e,t){let n=y(t.input)?t.input:{},r=y(t.input_order)?t.input_order:{},i=[`required`,`optional`].flatMap(e=>{let t=y(n[e])?n[e]:{};return(b(r[e])?r[e].map(String):Object.keys(t)).filter(e=>e in t).map(n=>_t(n,t[n]??null,e===`optional`))}),a=b(t.output_name)?t.output_name:[],o=b(t.output_is_list)?t.output_is_list:[],s=(b(t.output)?t.output:[]).map((e,t)=>({type:b(e)?`COMBO`:String(e),name:String(a[t]??e),isList:o[t]===!0}));return{type:e,title:typeof t.display_name==`string`&&t.display_name?t.display_name:e,category:String(t.category??``),description:String(t.description??``),inputs:i,outputs:s,isOutput:t.output_node===!0}}function _t(e,t,n){let[r,i]=b(t)?t:[t],a=y(i)?i:{},o=b(r)?r:b(a.options)?a.options:[],s=b(r)?`COMBO`:String(r);return{name:e,type:s,widget:a.forceInput===!0||a.rawLink===!0?null:dt[s]??null,choices:o,options:a,optional:n}}var vt=e=>{let t=e.options.control_after_generate;return t===void 0?e.type===`INT`&&ft.has(e.name):t!==!1&&t!==null},O=e=>e.options.image_upload===!0;function yt(e){let t=e.options.default;return t===void 0?e.widget===`combo`?e.choices[0]??``:e.widget===`int`||e.widget===`float`?e.options.min??0:e.widget!==`toggle`&&``:t}var bt=new WeakMap;function k(e,t){let n=bt.get(e)??new WeakMap;bt.set(e,n);let r=n.get(t)??xt(e.get(t.type),t);return n.set(t,r),r}function xt(e,t){let n=new Set(e?.inputs.map(e=>e.name)),r=w(t,`inputs`).filter(e=>typeof e.name==`string`&&!n.has(e.name)).filter(t=>!e||t.link!==null).map(e=>({name:String(e.name),type:St(e.type),widget:null,choices:[],options:{},optional:!0}));if(e)return r.length?{...e,inputs:[...e.inputs,...r]}:e;let i=w(t,`outputs`).map(e=>({name:String(e.name??``),type:St(e.type),isList:!1}));return{type:t.type,title:t.type,category:``,description:``,inputs:r,outputs:i,isOutput:!1,isUnknown:!0}}var St=e=>b(e)?`COMBO`:e==null||e===0?`*`:String(e),Ct=(e,t)=>({ok:!1,code:e,reason:t});function wt(e,t){let n=e.toUpperCase().split(`,`).map(e=>e.trim()),r=t.toUpperCase().split(`,`).map(e=>e.trim());return n.includes(`*`)||r.includes(`*`)||n.some(e=>r.includes(e))}function Tt(e,t,n,r=0){let i=E(e,n.node);if(!i)return`*`;let a=k(t,i).outputs[n.output]?.type??`*`;if(a!==`*`||r>100)return a;let o=i.type===`Reroute`?[...D(e,n.node).values()][0]:void 0;return o?Tt(e,t,{node:o.from,output:o.output},r+1):`*`}function A(e,t,n,r){let i=E(e,n.node),a=E(e,r.node);if(!i||!a)return Ct(`no_node`,`One of the two nodes is gone.`);let o=k(t,i).outputs[n.output],s=k(t,a).inputs.find(e=>e.name===r.input);if(!o)return Ct(`no_output`,`${i.type} has no output ${n.output}.`);if(!s)return Ct(`no_input`,`${a.type} has no input “${r.input}”.`);if(n.node===r.node)return Ct(`same_node`,`A node cannot feed itself.`);let c=Tt(e,t,n);if(!wt(c,s.type))return Ct(`type_mismatch`,`“${s.name}” takes ${s.type}; this output gives ${c}.`);let l=D(e,r.node).get(r.input);return l?.from===n.node&&l.output===n.output?Ct(`already_linked`,`These two are linked already.`):Et(e,r.node,n.node)?Ct(`dependency_cycle`,`This would make a loop: ${a.type} already leads to ${i.type}.`):{ok:!0}}function Et(e,t,n){let r=new Set([t]),i=[t];for(let t=i.pop();t!==void 0;t=i.pop()){if(t===n)return!0;for(let n of nt(e,t))r.has(n.to)||(r.add(n.to),i.push(n.to))}return!1}function Dt(e,t,n,r){let i=E(e,r),a=D(e,r),o=(i?k(t,i).inputs:[]).filter(i=>A(e,t,n,{node:r,input:i.name}).ok).sort((e,t)=>Ot(e.widget!==null,a.has(e.name))-Ot(t.widget!==null,a.has(t.name)));return o[0]?{node:r,input:o[0].name}:null}var Ot=(e,t)=>+!!t+(e?2:0);function kt(e,t,n,r){let i=E(e,r),a=(i?k(t,i).outputs:[]).findIndex((i,a)=>A(e,t,{node:r,output:a},n).ok);return a<0?null:{node:r,output:a}}var At=e=>e.widget===`text`&&e.options.multiline===!0;function jt(e,t,n){let[r,i]=Ke(t),a=Math.max(220,Math.round(r));if(t.type===`Reroute`)return Pt(e);if(Je(t))return Nt(e,a);let o=e.inputs.filter(e=>e.widget===null),s=e.inputs.filter(e=>e.widget!==null),c=Math.max(o.length,e.outputs.length),l=[],u=32+(c?4:0);for(let t=0;t<c;t++,u+=24)l.push({kind:`sockets`,y:u,input:o[t]??null,output:t<e.outputs.length?t:null});u+=4;let d=s.reduce((e,t)=>e+Mt(t)*28,0),f=u+d+(n?168:0)+8,p=Math.max(0,Math.round(i)-f),m=s.filter(At).length,ee=!n&&m?Math.floor(p/m):0;for(let e of s){let t=At(e)?84+ee:28;l.push({kind:`widget`,y:u,height:t,input:e}),u+=t,vt(e)&&(l.push({kind:`control`,y:u,height:28,input:e}),u+=28),O(e)&&(l.push({kind:`upload`,y:u,height:28,input:e}),u+=28)}let h=n?160+p:0,te=e.isUnknown?u+56:0,ne=Math.max(u+(n?h+8:0)+8,40,te),re=new Map,ie=[];for(let e of l)e.kind===`sockets`?(e.input&&re.set(e.input.name,e.y+12),e.output!==null&&(ie[e.output]=e.y+12)):e.kind===`widget`&&re.set(e.input.name,e.y+14);return{width:a,height:ne,rows:l,picture:{y:u,height:h},inputs:re,outputs:ie}}var Mt=e=>(At(e)?3:1)+ +!!vt(e)+ +!!O(e);function Nt(e,t){return{width:Math.min(t,240),height:32,rows:[],picture:{y:0,height:0},inputs:new Map(e.inputs.map(e=>[e.name,16])),outputs:e.outputs.map(()=>16)}}function Pt(e){return{width:56,height:28,rows:[],picture:{y:0,height:0},inputs:new Map(e.inputs.map(e=>[e.name,14])),outputs:e.outputs.map(()=>14)}}function Ft(e,t,n){let[r,i]=n,a=()=>e.some(({pos:e,size:n})=>r<e[0]+n[0]+20&&e[0]<r+t[0]+20&&i<e[1]+n[1]+20&&e[1]<i+t[1]+20);for(let e=0;e<200&&a();e++)i+=40,e%10==9&&(r+=60,i=n[1]);return[r,i]}var It=[`fixed`,`increment`,`decrement`,`randomize`],Lt=new Set([...It,`increment-wrap`]),j=e=>`${e}:control`;function Rt(e){return e.inputs.flatMap(e=>e.widget===null?[]:[e.name,...vt(e)?[j(e.name)]:[],...O(e)?[`upload`]:[]])}function zt(e,t){let n={},r=t.widgets_values,i=b(r)?r:[],a=0;for(let t of e.inputs){if(t.widget===null)continue;let e=y(r)?r[t.name]:i[a++];if(n[t.name]=e===void 0||e===null&&t.widget!==`text`?yt(t):e,vt(t)){let e=y(r)?r[j(t.name)]:i[a],o=typeof e==`boolean`||Lt.has(e??``);o&&!y(r)&&a++,n[j(t.name)]=e===!0?`randomize`:o&&e!==!1?e??`fixed`:`fixed`}O(t)&&!y(r)&&i[a]===`image`&&a++}return n}function Bt(e,t,n,r){let i=t.widgets_values;if(y(i))return{...t,widgets_values:{...i,[n]:r}};let a={...zt(e,t),upload:`image`,[n]:r},o=Rt(e),s=b(i)?i:[];return{...t,widgets_values:[...o.map(e=>a[e]??null),...s.slice(o.length)]}}var Vt=(e,t=`randomize`)=>{let n={upload:`image`};for(let r of e.inputs)n[r.name]=yt(r),n[j(r.name)]=t;return Rt(e).map(e=>n[e]??null)};function Ht(e,t,n,r,i=Math.random){let a=BigInt(Wt(n,0n)),o=BigInt(Wt(r,2n**53n-1n)),s=BigInt(Wt(e,a)),c=o-a+1n;return Ut(({increment:()=>s<o?s+1n:o,"increment-wrap":()=>s<o?s+1n:a,decrement:()=>s>a?s-1n:a,randomize:()=>{let e=c<2n**53n?c:2n**53n;return a+(BigInt(Math.floor(i()*2**32))*2n**21n+BigInt(Math.floor(i()*2**21)))%e}}[String(t)]??(()=>s))())}var Ut=e=>e>=-(2n**53n)&&e<=2n**53n?Number(e):e;function Wt(e,t){return typeof e==`bigint`?e:typeof e==`number`&&Number.isFinite(e)?BigInt(Math.trunc(e)):t}var Gt={add:(e,{nodes:t,links:n,groups:r})=>({...e,nodes:[...e.nodes,...t],links:[...e.links,...n],groups:[...e.groups,...r??[]]}),remove:(e,{nodes:t})=>{let n=new Set(t);return Jt({...e,nodes:e.nodes.filter(e=>!n.has(S(e))),links:e.links.filter(e=>!n.has(e.from)&&!n.has(e.to))},e)},move:(e,{to:t})=>qt(e,Object.keys(t),e=>({...e,pos:[...t[S(e)]??C(e)]})),resize:(e,{node:t,size:n,pos:r})=>qt(e,[t],e=>({...e,pos:[...r],size:[...n]})),value:(e,{node:t,name:n,value:r},i)=>qt(e,[t],e=>Bt(k(i,e),e,n,r)),patch:(e,{nodes:t,fields:n})=>qt(e,t,e=>({...e,...n})),flag:(e,{nodes:t,flag:n,on:r})=>qt(e,t,e=>({...e,flags:{...y(e.flags)?e.flags:{},[n]:r}})),link:(e,{from:t,to:n},r)=>{let i=e.links.filter(e=>e.to!==n.node||e.input!==n.input),a=Tt(e,r,t),o={id:ut(e)+1,from:t.node,output:t.output,to:n.node,input:n.input,type:a};return Jt(Yt({...e,links:[...i,o]},r,t.node,n.node),e)},unlink:(e,{links:t})=>{let n=new Set(t);return Jt({...e,links:e.links.filter(e=>!n.has(e.id))},e)},group:(e,{place:t,group:n})=>({...e,groups:n===null?e.groups.filter((e,n)=>n!==t):e.groups.map((e,r)=>r===t?n:e)}),all:(e,{changes:t},n)=>t.reduce((e,t)=>Kt(e,t,n),e)};function Kt(e,t,n){return Gt[t.kind](e,t,n)}function qt(e,t,n){let r=new Set(t.filter(t=>Ze(e).has(t)));return r.size===0?e:{...e,nodes:e.nodes.map(e=>r.has(S(e))?n(e):e)}}function Jt(e,t){let n={lastNodeId:lt(t),lastLinkId:Math.max(ut(t),ut(e))},r=e.root.version===1?{...e.root,state:{...y(e.root.state)?e.root.state:{},...n}}:{...e.root,last_node_id:n.lastNodeId,last_link_id:n.lastLinkId};return{...e,root:r}}function Yt(e,t,n,r){return qt(e,[n,r],e=>{let n=k(t,e),r=Array.isArray(e.inputs)&&e.inputs.length>0?e.inputs:Xt(n),i=Array.isArray(e.outputs)&&e.outputs.length>0?e.outputs:Zt(n);return r===e.inputs&&i===e.outputs?e:{...e,inputs:r,outputs:i}})}var Xt=e=>e.inputs.map(e=>({name:e.name,type:e.type,link:null,...e.widget?{widget:{name:e.name}}:{}})),Zt=e=>e.outputs.map(e=>({name:e.name,type:e.type,links:[]}));function Qt(e,t,n,r,i=0){return{id:lt(e)+1+i,type:t.type,pos:[...n],size:[...r],flags:{},order:e.nodes.length,mode:0,inputs:Xt(t),outputs:Zt(t),properties:{"Node name for S&R":t.type},widgets_values:Vt(t)}}function $t(e,t){let n=new Set(t);return{nodes:e.nodes.filter(e=>n.has(S(e))),links:e.links.filter(e=>n.has(e.to))}}function en(e,t,n,r){let i=new Map,a=lt(e);for(let e of t.nodes)i.set(S(e),++a);let o=t.nodes.map(e=>{let[t,r]=C(e);return{...e,id:i.get(S(e))??0,pos:[t+n[0],r+n[1]]}}),s=ut(e);return{change:{kind:`add`,nodes:o,links:t.links.flatMap(t=>{let n=i.get(t.to),a=i.get(t.from),o=r&&E(e,t.from)?t.from:void 0,c=a===void 0?o:String(a);return n===void 0||c===void 0?[]:[{id:++s,from:c,output:t.output,to:String(n),input:t.input,type:t.type}]})},keys:o.map(S)}}var tn=200,nn=1e3,M=h()(m(()=>({doc:x}),{limit:tn,equality:(e,t)=>e.doc===t.doc})),N=h(()=>({definitions:ht({}),isLoaded:!1})),rn=null;function P(e,t){let n=M.getState().doc,r=Kt(n,e,N.getState().definitions);if(r===n)return;let i=Date.now(),a=t!==void 0&&rn?.gesture===t&&i-rn.at<nn;rn=t===void 0?null:{gesture:t,at:i},a?an(r):M.setState({doc:r})}function an(e){let t=M.temporal.getState();t.pause(),M.setState({doc:e}),t.resume()}var on=()=>{rn=null},sn=()=>{on(),M.temporal.getState().undo()},cn=()=>{on(),M.temporal.getState().redo()},F=()=>M.getState().doc,I=()=>N.getState().definitions,ln=`easel.jobs`;function un(){try{return JSON.parse(sessionStorage.getItem(ln)??`{}`)}catch{return{}}}function dn(e,t){L.setState(n=>({jobs:Object.fromEntries([...Object.entries(n.jobs),[e,t]].slice(-50)),turn:n.turn+1}));try{sessionStorage.setItem(ln,JSON.stringify(L.getState().jobs))}catch{}}var L=h(()=>({nodes:{},jobs:un(),running:null,remaining:0,online:!1,problem:null,turn:0})),fn={},pn=(e,t,n)=>e.nodes[t]?.[n]??fn;function R(e,t,n){L.setState(r=>({nodes:{...r.nodes,[e]:{...r.nodes[e],[t]:{...pn(r,e,t),...n}}}}))}function mn(e,t=!1){L.setState(n=>({problem:t?n.problem:null,nodes:{...n.nodes,[e]:Object.fromEntries(Object.entries(n.nodes[e]??{}).map(([e,n])=>{let{images:r,texts:i,preview:a,errors:o}=n;return[e,{images:r,texts:i,preview:a,...t?{errors:o}:{}}]}))}}))}function hn(e){for(let[t,n]of Object.entries(L.getState().nodes[e]??{}))n.preview&&(URL.revokeObjectURL(n.preview),R(e,t,{preview:void 0}))}var gn=e=>`./view?${new URLSearchParams({filename:String(e.filename??``),subfolder:String(e.subfolder??``),type:String(e.type??`output`)}).toString()}`;function _n(e){let t=y(e)?e:{},n=b(t.images)?t.images.filter(y).map(gn):void 0,r=b(t.text)?t.text.map(String):void 0;return{...n?{images:n}:{},...r?{texts:r}:{}}}function vn(e){let t={};for(let[n,r]of Object.entries(y(e)?e:{}))t[n]=(y(r)&&b(r.errors)?r.errors.filter(y):[]).map(e=>{let t=y(e.extra_info)?e.extra_info:{};return{message:String(e.message??e.type??`refused`),details:String(e.details??``),input:typeof t.input_name==`string`?t.input_name:null,choices:b(t.allowed)?t.allowed.map(String):[]}});return t}var yn=`easel.theme`,bn=()=>{try{let e=localStorage.getItem(yn);return e===`dark`||e===`light`?e:`system`}catch{return`system`}},z=h(()=>({selected:new Set,selectedLinks:new Set,pending:null,palette:null,panel:null,theme:typeof localStorage>`u`?`system`:bn(),toasts:[],lightbox:null,help:!1,minimap:!0,snap:!1,count:1,renaming:null,fit:0,locate:null})),B=e=>z.setState({selected:new Set(e)}),V=e=>z.setState({palette:e}),xn=e=>z.setState(t=>({panel:t.panel===e?null:e})),Sn=e=>z.setState(t=>({selected:new Set([e]),locate:{node:e,turn:(t.locate?.turn??0)+1}}));function Cn(e){z.setState({theme:e}),document.documentElement.dataset.theme=e;try{localStorage.setItem(yn,e)}catch{}}var wn=7e3,Tn=0;function H(e,t=`info`){let n=++Tn;z.setState(({toasts:r})=>({toasts:[...r.filter(t=>t.text!==e).slice(-3),{id:n,text:e,tone:t}]})),setTimeout(()=>En(n),wn)}var En=e=>z.setState(({toasts:t})=>({toasts:t.filter(t=>t.id!==e)})),U=h(()=>({tabs:[],active:``})),Dn=`easel.drafts`,On=400,kn=()=>Array.from(crypto.getRandomValues(new Uint8Array(8)),e=>e.toString(16).padStart(2,`0`)).join(``);function An(){let{tabs:e,active:t}=U.getState(),{pastStates:n,futureStates:r}=M.temporal.getState();return e.map(e=>e.id===t?{...e,doc:M.getState().doc,past:n,future:r}:e)}function jn(e,t){let n=e.find(e=>e.id===t)??e[0];if(!n)return;U.setState({tabs:e,active:n.id});let r=M.temporal.getState();r.pause(),M.setState({doc:n.doc}),r.resume(),M.temporal.setState({pastStates:[...n.past],futureStates:[...n.future]}),z.setState(e=>({selected:new Set,fit:e.fit+1}))}function Mn(e,t,n=!0){let r=kn(),i={id:r,name:e,doc:t,saved:n?t:x,past:[],future:[]};return jn([...An(),i],r),r}var Nn=e=>{e!==U.getState().active&&jn(An(),e)};function Pn(e){let t=An(),n=t.findIndex(t=>t.id===e),r=t.filter(t=>t.id!==e);r.length===0?(U.setState({tabs:[],active:``}),Mn(`Untitled`,x)):e===U.getState().active?jn(r,r[Math.max(0,n-1)]?.id??``):U.setState({tabs:r})}var Fn=(e,t)=>U.setState(({tabs:n})=>({tabs:n.map(n=>n.id===e?{...n,name:t}:n)})),In=()=>U.setState(({tabs:e,active:t})=>({tabs:e.map(e=>e.id===t?{...e,saved:M.getState().doc}:e)})),Ln=()=>U.getState().tabs.find(e=>e.id===U.getState().active);function Rn(){let e=An().map(({id:e,name:t,doc:n,saved:r})=>({id:e,name:t,clean:n===r,file:ot(n)}));try{localStorage.setItem(Dn,Ue({active:U.getState().active,tabs:e}))}catch{}}function zn(){try{let e=He(localStorage.getItem(Dn)??`null`),t=(e?.tabs??[]).map(({id:e,name:t,clean:n,file:r})=>{let i=it(r);return{id:e,name:t,doc:i,saved:n?i:x,past:[],future:[]}});return t.length!==0&&(jn(t,e?.active??``),!0)}catch{return!1}}function Bn(){let e,t=()=>{clearTimeout(e),e=setTimeout(Rn,On)};M.subscribe(t),U.subscribe(t),t(),addEventListener(`pagehide`,Rn)}var Vn=(e,t)=>({node:e,output:Number(t.slice(4))}),Hn=(e,t)=>({node:e,input:t.slice(3)});function Un(e){return!e.source||!e.target||!e.sourceHandle||!e.targetHandle?null:{from:Vn(e.source,e.sourceHandle),to:Hn(e.target,e.targetHandle)}}function Wn(e){let t=Un(e);return t!==null&&A(F(),I(),t.from,t.to).ok}function Gn(e){e&&A(F(),I(),e.from,e.to).ok&&P({kind:`link`,...e})}function Kn(e){let[t,n]=[e.fromHandle,e.toHandle];if(!t?.id||!n?.id)return;if(t.type===n.type){H([`An output goes to an input, not to another output.`,`An input takes an output, not another input.`][t.type===`source`?0:1]??``,`error`);return}let[r,i]=t.type===`source`?[t,n]:[n,t],a=A(F(),I(),Vn(r.nodeId,r.id??``),Hn(i.nodeId,i.id??``));a.ok||H(a.reason,`error`)}function qn(e,t){let n=`from`in e?{from:e.from,to:Dt(F(),I(),e.from,t)}:{from:kt(F(),I(),e.to,t),to:e.to};if(n.from&&n.to){P({kind:`link`,from:n.from,to:n.to});return}let r=E(F(),t);r&&t!==(`from`in e?e.from.node:e.to.node)&&H(`${T(r,k(I(),r).title)} has no ${`from`in e?`input that takes this output`:`output that this input takes`}.`,`error`)}var Jn=class extends Error{status;body;constructor(e,t,n){super(t),this.status=e,this.body=n}};async function Yn(e,t){let n=await fetch(`./${e}`,t),r=await n.text(),i=(n.headers.get(`Content-Type`)??``).includes(`json`)&&r?He(r):r;if(!n.ok){let t=y(i)&&y(i.error)?i.error:{};throw new Jn(n.status,String(t.message??`${e}: the server answered ${n.status}`),i)}return i}var Xn=(e,t)=>Yn(e,{method:`POST`,body:Ue(t)}),Zn=()=>Yn(`object_info`),Qn=(e,t,n)=>Xn(`prompt`,{prompt:e,client_id:t,front:n,extra_data:{extra_pnginfo:{workflow:e}}}),$n=()=>Xn(`interrupt`,{}),er=e=>Xn(`queue`,{delete:e}),tr=()=>Xn(`queue`,{clear:!0}),nr=e=>Xn(`history`,{delete:e}),rr=e=>{if(!b(e))return null;let t=y(e[3])&&y(e[3].extra_pnginfo)?e[3].extra_pnginfo:{};return{number:Number(e[0]),id:String(e[1]),workflow:t.workflow??e[2]??null}};async function ir(){let e=await Yn(`queue`),t=e=>(b(e)?e:[]).map(rr).filter(e=>e!==null),n=y(e)?e:{};return{running:t(n.queue_running),pending:t(n.queue_pending)}}async function ar(e=100){let t=await Yn(`history?max_items=${e}`);return Object.entries(y(t)?t:{}).flatMap(([e,t])=>{if(!y(t))return[];let n=rr(t.prompt??null),r=y(t.status)?t.status:{},i=(b(r.messages)?r.messages.filter(b):[]).find(([e])=>e===`execution_error`)?.[1];return[{id:e,number:n?.number??0,workflow:n?.workflow??null,status:String(r.status_str??``),outputs:y(t.outputs)?t.outputs:{},message:y(i)?String(i.exception_message??``):null}]}).reverse()}async function or(e){let t=new FormData;t.append(`image`,e,e.name||`pasted.png`);let n=await Yn(`upload/image`,{method:`POST`,body:t}),r=y(n)?n:{};return r.subfolder?`${String(r.subfolder)}/${String(r.name)}`:String(r.name)}function sr(e,t,n){let r=new Me.graphlib.Graph;r.setGraph({rankdir:`LR`,nodesep:32,ranksep:72}),r.setDefaultEdgeLabel(()=>({}));let i=e.nodes.filter(e=>!n||n.has(S(e)));for(let e of i){let n=k(t,e),{width:i,height:a}=jt(n,e,n.isOutput);r.setNode(S(e),{width:i,height:a})}for(let t of e.links)r.hasNode(t.from)&&r.hasNode(t.to)&&r.setEdge(t.from,t.to);return Me.layout(r),Object.fromEntries(i.map(e=>{let{x:t,y:n,width:i,height:a}=r.node(S(e));return[S(e),[Math.round(t-i/2),Math.round(n-a/2)]]}))}var cr=e=>Object.entries(y(e)?e:{}).filter(([,e])=>b(e)).map(([e])=>({name:e,type:`*`,link:null}));function lr(e,t){let n=Object.entries(e).flatMap(([e,n])=>{if(!y(n))return[];let r=String(n.class_type),i=y(n._meta)&&typeof n._meta.title==`string`?{title:n._meta.title}:{},a=Number(e),o=Number.isSafeInteger(a)&&String(a)===e?a:e,s=t.get(r);return s?[{...Qt(x,s,[0,0],[270,0]),widgets_values:Vt(s,`fixed`),...i,id:o}]:[{id:o,type:r,pos:[0,0],size:[270,100],mode:0,flags:{},inputs:cr(n.inputs),...i,properties:{inputs:n.inputs??{}}}]}),r={...x,nodes:n};for(let[n,i]of Object.entries(e)){let e=y(i)&&y(i.inputs)?i.inputs:{};for(let[a,o]of Object.entries(e))b(o)&&o.length===2&&typeof o[0]==`string`&&typeof o[1]==`number`?r=Kt(r,{kind:`link`,from:{node:String(o[0]),output:Number(o[1])},to:{node:n,input:a}},t):t.has(String(y(i)?i.class_type:``))&&(r={...r,nodes:r.nodes.map(e=>S(e)===n?Bt(k(t,e),e,a,o):e)})}return Kt(r,{kind:`move`,to:sr(r,t)},t)}var ur=[137,80,78,71,13,10,26,10],dr=32*2**20;async function fr(e){let t=new Uint8Array(await e.arrayBuffer());return ur.every((e,n)=>t[n]===e)?pr(t):W(t,0,4)===`RIFF`&&W(t,8,12)===`WEBP`?hr(t):{}}var W=(e,t,n)=>String.fromCharCode(...e.subarray(t,n));async function pr(e){let t=new DataView(e.buffer,e.byteOffset,e.byteLength),n={};for(let r=8;r+12<=e.length;){let i=t.getUint32(r),a=W(e,r+4,r+8),o=e.subarray(r+8,Math.min(r+8+i,e.length)),s=o.indexOf(0),c=W(o,0,Math.max(s,0));if(a===`tEXt`&&s>0&&(n[c]??=new TextDecoder(`latin1`).decode(o.subarray(s+1))),a===`zTXt`&&s>0&&(n[c]??=await mr(o.subarray(s+2),`latin1`)),a===`iTXt`&&s>0){let e=o.indexOf(0,s+3),t=o.indexOf(0,e+1)+1,r=o.subarray(t);n[c]??=o[s+1]===1?await mr(r,`utf-8`):new TextDecoder().decode(r)}if(a===`IEND`)break;r+=12+i}return n}async function mr(e,t){let n=new Blob([e.slice()]).stream().pipeThrough(new DecompressionStream(`deflate`)).getReader(),r=new TextDecoder(t),i=``;for(let e=await n.read();!e.done;e=await n.read())if(i+=r.decode(e.value,{stream:!0}),i.length>dr)throw Error(`The text inside this picture is too large to be a workflow.`);return i}function hr(e){let t=new DataView(e.buffer,e.byteOffset,e.byteLength);for(let n=12;n+8<=e.length;){let r=t.getUint32(n+4,!0);if(W(e,n,n+4)===`EXIF`)return gr(e.subarray(n+8,n+8+r));n+=8+r+r%2}return{}}function gr(e){let t=W(e,0,6)===`Exif\0\0`?e.subarray(6):e,n={};if(t.length<8)return n;let r=new DataView(t.buffer,t.byteOffset,t.byteLength),i=W(t,0,2)===`II`,a=r.getUint32(4,i),o=a+2<=t.length?r.getUint16(a,i):0;for(let e=0;e<o;e++){let o=a+2+12*e;if(o+12>t.length)break;if(r.getUint16(o+2,i)!==2)continue;let s=r.getUint32(o+4,i),c=s<=4?o+8:r.getUint32(o+8,i),l=new TextDecoder().decode(t.subarray(c,c+s)).replace(/\0+$/,``),u=l.indexOf(`:`);u>0&&(n[l.slice(0,u)]=l.slice(u+1))}return n}var _r=500,vr=5e3,yr=1,br=4,xr=(()=>{let e=Array.from(crypto.getRandomValues(new Uint8Array(16)),e=>e.toString(16).padStart(2,`0`)).join(``);try{let t=sessionStorage.getItem(`easel.client`);if(t)return t;sessionStorage.setItem(`easel.client`,e)}catch{}return e})(),G=e=>typeof e==`string`?e:``,K=e=>L.getState().jobs[G(e.prompt_id)]??U.getState().active,Sr=()=>L.setState(e=>({turn:e.turn+1})),Cr=e=>E(F(),e)?e:(e.split(`:`)[0]??e).split(`.`)[0]??e,wr={status:e=>{let t=y(e.status)&&y(e.status.exec_info)?e.status.exec_info:{};L.setState({remaining:Number(t.queue_remaining??0)}),Sr()},execution_start:e=>{mn(K(e)),L.setState({running:G(e.prompt_id)})},execution_cached:e=>{for(let t of b(e.nodes)?e.nodes:[])R(K(e),Cr(String(t)),{state:`cached`})},executing:e=>{e.node===null?(hn(K(e)),L.setState(e=>({running:null,turn:e.turn+1}))):e.prompt_id&&L.setState({running:G(e.prompt_id)})},progress_state:e=>{let t=K(e);for(let n of Object.values(y(e.nodes)?e.nodes:{}))y(n)&&R(t,Cr(G(n.display_node_id)||G(n.node_id)),{state:n.state,value:Number(n.value),max:Number(n.max)})},executed:e=>{let t=Cr(G(e.display_node)||String(e.node));R(K(e),t,_n(e.output))},execution_success:()=>H(`Finished.`),execution_interrupted:e=>{Tr(K(e)),H(`Stopped.`)},execution_error:e=>{let t=Cr(String(e.node_id??``)),n=K(e);Tr(n);let r=G(e.exception_message).trim()||G(e.exception_type);R(n,t,{state:`error`,errors:[{message:r,details:b(e.traceback)?e.traceback.map(String).join(``):``,input:null,choices:[]}]});let i=E(F(),t),a=i?T(i,I().get(i.type)?.title??i.type):G(e.node_type);L.setState({problem:`${a}: ${r}`}),H(`${a}: ${r}`,`error`)}};function Tr(e){for(let[t,n]of Object.entries(L.getState().nodes[e]??{}))(n.state===`running`||n.state===`queued`)&&R(e,t,{state:void 0})}function Er(e){let t=new DataView(e);if(e.byteLength<8)return;let n=t.getUint32(0);if(n===br){let n=t.getUint32(4),r=He(new TextDecoder().decode(new Uint8Array(e,8,n)));if(!y(r))return;Dr(K(r),Cr(G(r.display_node_id)||G(r.node_id)),new Uint8Array(e,8+n),G(r.image_type))}else if(n===yr){let n=U.getState().active,r=Object.entries(L.getState().nodes[n]??{}).find(([,e])=>e.state===`running`);r&&Dr(n,r[0],new Uint8Array(e,8),t.getUint32(4)===2?`image/png`:`image/jpeg`)}}function Dr(e,t,n,r){let i=L.getState().nodes[e]?.[t]?.preview;R(e,t,{preview:URL.createObjectURL(new Blob([n],{type:r}))}),i&&URL.revokeObjectURL(i)}function Or(e){let t=_r,n=!0,r=[],i=()=>{let e=r;r=[];for(let t of e)if(typeof t!=`string`)Er(t);else{let e=He(t);y(e)&&wr[G(e.type)]?.(y(e.data)?e.data:{})}},a=()=>{let o=new URL(`./ws?clientId=${xr}`,location.href);o.protocol=o.protocol.replace(`http`,`ws`);let s=new WebSocket(o);s.binaryType=`arraybuffer`,s.onopen=()=>{t=_r,s.send(JSON.stringify({type:`feature_flags`,data:{supports_preview_metadata:!0}})),L.setState({online:!0}),e(n),n=!1},s.onmessage=e=>{r.push(e.data)===1&&(document.hidden?setTimeout:requestAnimationFrame)(i)},s.onclose=()=>{L.setState({online:!1,running:null}),setTimeout(a,t),t=Math.min(t*2,vr)}};a()}async function kr(){for(let e=300;;e=Math.min(e*2,5e3))try{N.setState({definitions:ht(await Zn()),isLoaded:!0});return}catch{await new Promise(t=>setTimeout(t,e))}}function Ar(e){let t=I(),n=y(e.root.definitions)&&b(e.root.definitions.subgraphs)?e.root.definitions.subgraphs:[],r=new Set(n.filter(y).map(e=>String(e.id))),i=new Set([`PrimitiveNode`]);return[...new Set(e.nodes.map(e=>e.type))].filter(e=>!t.has(e)&&!r.has(e)&&!i.has(e)&&!e.startsWith(`workflow/`))}async function jr(e=!1){let t=U.getState().active;mn(t);for(let n=0;n<z.getState().count;n++)try{let n=await Qn(ot(F()),xr,e);dn(y(n)?String(n.prompt_id):``,t),Mr(t,y(n)?n.node_errors:void 0),U.getState().active===t&&an(Pr(F()))}catch(e){Nr(t,e);return}}function Mr(e,t){let n=vn(t);for(let[t,r]of Object.entries(n))R(e,t.split(`:`)[0]??t,{state:`error`,errors:r});return Object.keys(n)[0]}function Nr(e,t){let n=t instanceof Jn?t.message:`The server does not answer. The workflow is kept here; run it again when the server is back.`,r=Mr(e,(t instanceof Jn&&y(t.body)?t.body:{}).node_errors);L.setState({problem:n}),H(n,`error`),r&&Sn(r.split(`:`)[0]??r)}function Pr(e){let t=I(),n=!1,r=e.nodes.map(e=>{let r=k(t,e);return r.inputs.filter(e=>e.widget===`int`&&vt(e)).reduce((e,t)=>{let i=zt(r,e),a=i[t.name]??0,o=Ht(a,i[j(t.name)]??`fixed`,t.options.min??0,t.options.max??2**53);return o===a?e:(n=!0,Bt(r,e,t.name,o))},e)});return n?{...e,nodes:r}:e}async function Fr(){let{running:e,pending:t}=await ir(),n=new Set([...e,...t].map(e=>e.id)),r=Object.entries(L.getState().jobs),i=new Set(r.filter(([e])=>n.has(e)).map(([,e])=>e));for(let e of new Set(r.map(([,e])=>e)))i.has(e)||mn(e,!0);let a=new Map((await ar()).map(e=>[e.id,e]));for(let[e,t]of r)for(let[n,r]of Object.entries(a.get(e)?.outputs??{}))R(t,n,_n(r))}function Ir(e,t){try{let n=He(e),r=rt(n)?lr(n,I()):it(n);Mn(t.replace(/\.[^.]+$/,``)||`Untitled`,r),Lr(r)}catch(e){H(`${t}: ${e instanceof Error?e.message:String(e)}`,`error`)}}function Lr(e){if(!N.getState().isLoaded)return;let t=Ar(e);t.length!==0&&(z.setState({panel:`problems`}),H(`${t.length===1?`A node type is`:`${t.length} node types are`} missing here: ${t.join(`, `)}. The graph is kept as it is.`,`error`))}async function Rr(e){if(/\.json$/i.test(e.name)||e.type===`application/json`)return Ir(await e.text(),e.name);let t=await fr(e),n=t.workflow??t.prompt;n?Ir(n,e.name):H(`${e.name}: there is no workflow inside this file.`,`error`)}function zr(e,t){let n=URL.createObjectURL(new Blob([t],{type:`application/json`}));Object.assign(document.createElement(`a`),{href:n,download:e}).click(),setTimeout(()=>URL.revokeObjectURL(n),1e4)}function Br(){zr(`${Ln()?.name??`workflow`}.json`,Ue(ot(F()),2)),In()}var Vr=()=>Mn(`Untitled`,x);function Hr(e,t){let n=e.trim().replace(`,`,`.`);if(/^[+-]?\d+$/.test(n))return Ut(BigInt(n.replace(`+`,``)));let r=Ur(n);return r===null||!Number.isFinite(r)?null:t===`int`?Math.round(r):r}function Ur(e){let t=e.match(/\d*\.?\d+(?:e[+-]?\d+)?|[-+*/()]|\S/gi)??[],n=0,r=e=>{let i=t[n++];if(i===`-`)return-r(e);if(i===`+`)return r(e);if(i===`(`&&e<50){let r=a(e+1);return t[n++]===`)`?r:NaN}return i===void 0?NaN:Number(i)},i=e=>{let i=r(e);for(;t[n]===`*`||t[n]===`/`;)i=t[n++]===`*`?i*r(e):i/r(e);return i},a=e=>{let r=i(e);for(;t[n]===`+`||t[n]===`-`;)r=t[n++]===`+`?r+i(e):r-i(e);return r},o=a(0);return n===t.length&&!Number.isNaN(o)?o:null}function Wr(e,t,n){return typeof e!=`number`&&typeof e!=`bigint`?e:(typeof t==`number`||typeof t==`bigint`)&&e<t?t:(typeof n==`number`||typeof n==`bigint`)&&e>n?n:e}function Gr(e,t,n){if(typeof e==`bigint`)return Ut(e+BigInt(Math.round(t*n)));let r=(String(t).split(`.`)[1]??``).length+2;return Number((Number(e)+t*n).toFixed(Math.min(r,12)))}var q=u(),J=(e,t,n)=>P({kind:`value`,node:e,name:t,value:n},`value ${e} ${t}`),Kr=(0,_.memo)(function(e){if(e.isLinked)return(0,q.jsx)(`span`,{className:`field-linked`,children:`from a link`});let t=e.input.widget;return t===`int`||t===`float`?(0,q.jsx)(qr,{...e}):t===`toggle`?(0,q.jsx)(Yr,{...e}):t===`combo`?(0,q.jsx)(Xr,{...e}):(0,q.jsx)(Jr,{...e})});function qr({node:e,input:t,value:n,label:r}){let[i,a]=(0,_.useState)(null),o=t.widget===`int`?`int`:`float`,{min:s,max:c}=t.options,l=typeof t.options.step==`number`?t.options.step:o===`int`?1:.1,u=i!==null&&Hr(i,o)===null,d=n=>{a(n.target.value);let r=Hr(n.target.value,o);r!==null&&J(e,t.name,Wr(r,s,c))},f=()=>{a(null),on()};return(0,q.jsxs)(`span`,{className:`number nodrag`,children:[(0,q.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>J(e,t.name,Wr(Gr(n,l,-1),s,c)),children:`−`}),(0,q.jsx)(`input`,{className:`field`,type:`text`,inputMode:`decimal`,role:`spinbutton`,"aria-label":r,"aria-invalid":u,"aria-valuenow":Number(n),"aria-valuetext":String(n),"aria-valuemin":s===void 0?void 0:Number(s),"aria-valuemax":c===void 0?void 0:Number(c),value:i??String(n),onChange:d,onBlur:f,onKeyDown:r=>{let i={ArrowUp:1,ArrowDown:-1,PageUp:10,PageDown:-10}[r.key];r.key===`Enter`&&!r.ctrlKey&&!r.metaKey&&f(),i!==void 0&&(r.preventDefault(),a(null),J(e,t.name,Wr(Gr(n,l,i),s,c)))},autoComplete:`off`,spellCheck:!1}),(0,q.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>J(e,t.name,Wr(Gr(n,l,1),s,c)),children:`+`})]})}function Jr({node:e,input:t,value:n,label:r}){let i={className:`field nodrag nowheel`,"aria-label":r,value:String(n??``),onBlur:on,onChange:n=>J(e,t.name,n.target.value)};return t.options.multiline===!0?(0,q.jsx)(`textarea`,{...i,placeholder:String(t.options.placeholder??t.name)}):(0,q.jsx)(`input`,{type:`text`,...i,autoComplete:`off`})}function Yr({node:e,input:t,value:n,label:r}){return(0,q.jsx)(`input`,{type:`checkbox`,className:`toggle nodrag`,role:`switch`,"aria-label":r,"aria-checked":n===!0,checked:n===!0,onChange:n=>J(e,t.name,n.target.checked)})}function Xr({node:e,input:t,value:n,label:r}){let i=t.choices.indexOf(n);return(0,q.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,"aria-invalid":i<0,value:i,onChange:n=>J(e,t.name,t.choices[Number(n.target.value)]??null),children:[i<0&&(0,q.jsx)(`option`,{value:-1,children:`${String(n)} (not here)`}),t.choices.map((e,t)=>(0,q.jsx)(`option`,{value:t,children:String(e)},String(e)))]})}var Zr={fixed:`stays`,increment:`counts up`,decrement:`counts down`,randomize:`is drawn anew`};function Qr({node:e,input:t,value:n,label:r}){return(0,q.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,value:String(n),onChange:n=>J(e,j(t.name),n.target.value),children:[It.map(e=>(0,q.jsx)(`option`,{value:e,children:Zr[e]},e)),!It.includes(n)&&(0,q.jsx)(`option`,{value:String(n),children:String(n)})]})}function $r({title:e,label:t,done:n}){let r=(0,_.useRef)(null);return(0,_.useEffect)(()=>{r.current?.select()},[]),(0,q.jsx)(`input`,{ref:r,className:`field nodrag`,"aria-label":t,defaultValue:e,onBlur:e=>n(e.target.value),onKeyDown:e=>{e.stopPropagation(),e.key===`Enter`&&e.currentTarget.blur(),e.key===`Escape`&&n(null)}})}var ei={MODEL:[`var(--hue-1)`,`square`],CONDITIONING:[`var(--hue-2)`,`diamond`],LATENT:[`var(--hue-3)`,`circle`],IMAGE:[`var(--hue-4)`,`rounded`],MASK:[`var(--hue-5)`,`half`],VAE:[`var(--hue-6)`,`triangle`],CLIP:[`var(--hue-7)`,`triangle`],INT:[`var(--hue-8)`,`circle`],FLOAT:[`var(--hue-8)`,`diamond`],STRING:[`var(--hue-8)`,`rounded`],BOOLEAN:[`var(--hue-8)`,`half`],COMBO:[`var(--hue-8)`,`square`],"*":[`var(--hue-0)`,`ring`]};function Y(e){let t=ei[e];if(t)return t;let n=0;for(let t of e)n=(n*31+t.charCodeAt(0))%997;return[`var(--hue-${n%8+1})`,`ring`]}var ti=.32,ni=e=>e.transform[2]<ti,ri=(e,t)=>e.isOutput||t.preview!==void 0||t.images!==void 0||t.texts!==void 0||e.inputs.some(O),ii=(0,_.memo)(function({id:e,selected:t}){let n=M(t=>E(t.doc,e)),r=N(e=>e.definitions),i=U(e=>e.active),a=L(t=>pn(t,i,e)),o=ie(ni);if(!n)return null;let s=k(r,n),c=!r.has(n.type),l=jt(s,n,ri(s,a)),u=[`node`,t?`is-selected`:``,a.state?`is-${a.state}`:``,c?`is-missing`:``,qe(n)===2?`is-muted`:``,qe(n)===4?`is-bypassed`:``,o?`is-far`:``,n.type===`Reroute`?`is-reroute`:``],d=typeof n.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(n.color)?{"--tint":n.color}:{};return(0,q.jsxs)(`div`,{className:u.filter(Boolean).join(` `),style:d,onDrop:t=>hi(t,e,s),children:[!o&&n.type!==`Reroute`&&(0,q.jsx)(oi,{id:e,node:n,title:T(n,s.title),run:a}),o&&(0,q.jsx)(`span`,{className:`far-title`,children:T(n,s.title)}),(0,q.jsx)(si,{id:e,shape:s,layout:l}),!o&&!Je(n)&&n.type!==`Reroute`&&(0,q.jsx)(ci,{id:e,node:n,shape:s,layout:l,run:a,isMissing:c}),!o&&a.errors&&a.errors.length>0&&(0,q.jsx)(vi,{id:e,run:a,shape:s}),t&&!Je(n)&&n.type!==`Reroute`&&(0,q.jsx)(Ne,{className:`resize`,minWidth:220,minHeight:60})]})}),ai={queued:`waiting`,running:`running`,finished:`done`,cached:`unchanged, taken from the last run`,error:`failed`};function oi({id:e,node:n,title:r,run:i}){let o=z(t=>t.renaming===e),s=Je(n),c=i.state===`running`&&i.max?Math.min(1,(i.value??0)/i.max):0;return(0,q.jsxs)(`header`,{className:`node-header`,children:[(0,q.jsx)(`button`,{type:`button`,className:`icon nodrag`,"aria-label":s?`Expand ${r}`:`Collapse ${r}`,"aria-expanded":!s,onClick:()=>P({kind:`flag`,nodes:[e],flag:`collapsed`,on:!s}),children:s?(0,q.jsx)(t,{size:14}):(0,q.jsx)(p,{size:14})}),o?(0,q.jsx)($r,{title:r,label:`Name of the node`,done:t=>{z.setState({renaming:null}),t!==null&&t!==r&&P({kind:`patch`,nodes:[e],fields:{title:t}})}}):(0,q.jsx)(`span`,{className:`node-title`,onDoubleClick:()=>z.setState({renaming:e}),children:r}),Ye(n)&&(0,q.jsx)(a,{size:12,"aria-label":`pinned`}),i.state===`running`?(0,q.jsxs)(`svg`,{className:`ring`,viewBox:`0 0 20 20`,role:`progressbar`,"aria-label":`${r}: progress`,"aria-valuenow":Math.round(c*100),"aria-valuemin":0,"aria-valuemax":100,children:[(0,q.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`}),(0,q.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`,className:`ring-part`,pathLength:100,strokeDasharray:`${c*100} 100`})]}):i.state&&(0,q.jsx)(`span`,{className:`glyph glyph-${i.state}`,role:`img`,"aria-label":ai[i.state],title:ai[i.state]}),i.state===`running`&&i.max!==void 0&&i.max>1&&(0,q.jsx)(`span`,{className:`steps`,children:`${i.value??0}/${i.max}`}),c>0&&(0,q.jsx)(`span`,{className:`bar`,style:{transform:`scaleX(${c})`}})]})}function si({id:e,shape:t,layout:n}){let r=z(e=>e.pending),i=M(e=>e.doc.links),a=N(e=>e.definitions),o=F(),c=i&&D(o,e),l=(t,n,i)=>{if(!r)return``;let s=`from`in r?r.from:{node:e,output:i},c=`to`in r?r.to:{node:e,input:n};return`from`in r==(t===`out`)?`is-dim`:A(o,a,s,c).ok?`is-fit`:`is-dim`};return(0,q.jsxs)(q.Fragment,{children:[t.inputs.filter(e=>n.inputs.has(e.name)).map(e=>{let[t,r]=Y(e.type),i=c.has(e.name)?`is-linked`:e.widget?`is-quiet`:e.optional?`is-open`:``;return(0,q.jsx)(f,{id:`in:${e.name}`,type:`target`,position:s.Left,className:`socket shape-${r} ${i} ${l(`in`,e.name,0)}`,title:`${e.name}: ${e.type}`,style:{top:n.inputs.get(e.name),"--hue":t}},`in:${e.name}`)}),t.outputs.map((e,t)=>{let[r,i]=Y(e.type);return(0,q.jsx)(f,{id:`out:${t}`,type:`source`,position:s.Right,className:`socket shape-${i} ${l(`out`,``,t)}`,title:`${e.name}: ${e.type}`,style:{top:n.outputs[t],"--hue":r}},`out:${t}`)})]})}function ci({id:e,node:t,shape:n,layout:r,run:i,isMissing:a}){let o=zt(n,t),s=M(t=>D(t.doc,e)),c=T(t,n.title);return(0,q.jsxs)(q.Fragment,{children:[r.rows.map(t=>t.kind===`sockets`?(0,q.jsx)(ui,{row:t,shape:n},`s${t.y}`):(0,q.jsx)(fi,{id:e,row:t,title:c,isLinked:s.has(t.input.name),value:o[t.kind===`control`?j(t.input.name):t.input.name]??null},`${t.kind}:${t.input.name}`)),a&&(0,q.jsx)(`p`,{className:`missing-note`,style:{top:r.picture.y||40},children:li(t)}),r.picture.height>0&&(0,q.jsx)(gi,{run:i,shape:n,values:o,title:c,top:r.picture.y,height:r.picture.height})]})}function li(e){return e.type===`PrimitiveNode`?b(e.widgets_values)?String(e.widgets_values[0]??``):``:`This type is not installed here. Its values and links are kept.`}function ui({row:e,shape:t}){return(0,q.jsxs)(`div`,{className:`row sockets-row`,style:{top:e.y},children:[(0,q.jsx)(`span`,{title:di(e.input),children:e.input?.name}),(0,q.jsx)(`span`,{children:e.output===null?``:t.outputs[e.output]?.name})]})}var di=e=>typeof e?.options.tooltip==`string`?e.options.tooltip:void 0;function fi({id:e,row:t,value:n,isLinked:r,title:i}){let{input:a}=t,o={top:t.y,height:t.height};if(t.kind===`upload`)return(0,q.jsx)(`div`,{className:`row`,style:o,children:(0,q.jsx)(mi,{id:e,input:a,title:i})});if(t.kind===`control`)return(0,q.jsxs)(`div`,{className:`row`,style:o,children:[(0,q.jsx)(`span`,{className:`row-label`,children:`after a run`}),(0,q.jsx)(Qr,{node:e,input:a,value:n,label:`${i}: ${a.name} after a run`})]});let s=a.widget===`text`&&a.options.multiline===!0;return(0,q.jsxs)(`div`,{className:`row ${s?`row-text`:``}`,style:o,title:di(a),children:[!s&&(0,q.jsx)(`span`,{className:`row-label`,children:a.name}),(0,q.jsx)(Kr,{node:e,input:a,value:n,label:`${i}: ${a.name}`,isLinked:r})]})}async function pi(e,t,n){if(n)try{let r=await or(n);await kr(),P({kind:`value`,node:e,name:t.name,value:r})}catch(e){H(e instanceof Error?e.message:String(e),`error`)}}function mi({id:e,input:t,title:n}){return(0,q.jsxs)(`label`,{className:`button nodrag upload`,children:[`Choose a picture…`,(0,q.jsx)(`input`,{type:`file`,accept:`image/*`,className:`hidden`,"aria-label":`${n}: choose a picture`,onChange:n=>void pi(e,t,n.target.files?.[0])})]})}function hi(e,t,n){let r=n.inputs.find(O),i=e.dataTransfer.files[0];r&&i?.type.startsWith(`image/`)&&(e.preventDefault(),e.stopPropagation(),pi(t,r,i))}function gi({run:e,shape:t,values:n,title:r,top:i,height:a}){let o=t.inputs.find(O),s=o?n[o.name]:void 0,c=o?.choices.includes(s)||String(s).endsWith(`]`),l=s&&c?[`./view?${new URLSearchParams({filename:String(s),type:`input`}).toString()}`]:[],u=e.images??l;return(0,q.jsxs)(`div`,{className:`picture nodrag`,style:{top:i,height:a},children:[e.preview&&(0,q.jsx)(`img`,{src:e.preview,alt:`${r}: how far it is`,decoding:`async`,draggable:!1}),!e.preview&&u.map((e,t)=>(0,q.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":`${r}: picture ${t+1} of ${u.length}, show it large`,onClick:()=>z.setState({lightbox:{urls:u,at:t}}),children:(0,q.jsx)(`img`,{src:e,alt:``,decoding:`async`,draggable:!1})},e)),e.texts?.map(e=>(0,q.jsx)(`pre`,{className:`nowheel`,children:e},e)),!e.preview&&u.length===0&&!e.texts&&(0,q.jsx)(`span`,{className:`faint`,children:`Run to see the result`})]})}var _i=8;function vi({id:e,run:t,shape:n}){return(0,q.jsx)(`div`,{className:`node-errors nodrag nowheel`,children:t.errors?.map(t=>(0,q.jsxs)(`div`,{children:[(0,q.jsxs)(`p`,{children:[t.input&&(0,q.jsxs)(`strong`,{children:[t.input,`: `]}),t.message]}),t.choices.length>0&&n.inputs.some(e=>e.name===t.input)&&(0,q.jsxs)(`p`,{className:`choices`,children:[yi(t.choices,t.message).map(n=>(0,q.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>t.input&&P({kind:`value`,node:e,name:t.input,value:n}),children:n},n)),t.choices.length>_i&&(0,q.jsx)(`span`,{className:`faint`,children:`and ${t.choices.length-_i} more`})]}),t.details.length>80&&t.input===null&&(0,q.jsxs)(`details`,{children:[(0,q.jsx)(`summary`,{children:`Details`}),(0,q.jsx)(`pre`,{children:t.details})]})]},t.input+t.message))})}var yi=(e,t)=>[...e].sort((e,n)=>Number(t.includes(`'${n}'?`))-Number(t.includes(`'${e}'?`))).slice(0,_i);function bi(e,t,n){let r=T(e,t.title),i=D(F(),String(e.id)).size;return[r,r===t.title?``:t.title,`links in: ${i}`,`links out: ${nt(F(),String(e.id)).length}`,qe(e)===2?`muted`:``,qe(e)===4?`bypassed`:``,n.state?ai[n.state]??``:``].filter(Boolean).join(`, `)}var xi=()=>[0,0],Si=e=>{xi=e},Ci=()=>xi(),X=14,Z=`group:`,wi={easel:ii,frame:(0,_.memo)(Gi)},Ti=[10,10],Ei=.05,Di={padding:.12,maxZoom:1},Oi={hideAttribution:!1},ki=null,Ai=[`Shift`,`Control`,`Meta`],ji={};function Mi(){return(0,q.jsx)(n,{children:(0,q.jsx)(Ni,{})})}function Ni(){let e=c(),[t,n]=(0,_.useState)(null),r=Ri(t),i=Hi(),{minimap:a,snap:s,fit:u,locate:f,theme:p}=z(),m=(0,_.useRef)(null),ee=(0,_.useRef)(r);ee.current=r;let h=(0,_.useRef)(new Map);(0,_.useEffect)(()=>Si(()=>{let t=m.current?.getBoundingClientRect()??new DOMRect,{x:n,y:r}=e.screenToFlowPosition({x:t.x+t.width/2-130,y:t.y+t.height/2-100});return[Math.round(n),Math.round(r)]}),[e]),(0,_.useEffect)(()=>{let t=requestAnimationFrame(()=>Fi(e,ee.current,m.current));return()=>cancelAnimationFrame(t)},[u,e]),(0,_.useEffect)(()=>{let t=f&&e.getNode(f.node);t&&e.setCenter(t.position.x+(t.width??0)/2,t.position.y+(t.height??0)/2,{zoom:Math.max(e.getZoom(),.8),duration:Li()})},[f,e]);let ne=(0,_.useCallback)(e=>{let t=new Set(z.getState().selected),r={},i=!1;for(let n of e)if(n.type===`select`&&!n.id.startsWith(Z))i=!0,n.selected?t.add(n.id):t.delete(n.id);else if(n.type===`position`&&n.dragging&&n.position)r[n.id]=[n.position.x,n.position.y];else if(n.type===`dimensions`&&n.resizing===!0&&n.dimensions){let e=E(F(),n.id);e&&P({kind:`resize`,node:n.id,pos:C(e),size:[Math.round(n.dimensions.width),Math.round(n.dimensions.height)]},`resize ${n.id}`)}i&&B(t),Object.keys(r).length&&n(e=>({...e,...r,...qi(r,h.current)}))},[]),re=(0,_.useCallback)((e,t)=>{h.current=t.id.startsWith(Z)?Ki(t.id):new Map},[]),ie=(0,_.useCallback)(()=>{n(e=>(e&&queueMicrotask(()=>Ji(e)),null))},[]),se=(0,_.useCallback)(e=>{let t=new Set(z.getState().selectedLinks);for(let n of e)n.type===`select`&&(n.selected?t.add(Number(n.id)):t.delete(Number(n.id)));z.setState({selectedLinks:t})},[]),ce=(0,_.useCallback)(e=>Gn(Un(e)),[]),le=(0,_.useCallback)((e,t)=>{let n=Un(t);n&&A(F(),I(),n.from,n.to).ok&&P({kind:`all`,changes:[{kind:`unlink`,links:[Number(e.id)]},{kind:`link`,...n}]})},[]),ue=(0,_.useCallback)((e,t,n,r)=>{r.toHandle?r.isValid||Kn(r):P({kind:`unlink`,links:[Number(t.id)]})},[]),g=(0,_.useRef)(!1),de=(0,_.useCallback)((e,{nodeId:t,handleId:n,handleType:r})=>{t&&n&&z.setState({pending:r===`source`?{from:Vn(t,n)}:{to:Hn(t,n)}})},[]),fe=(0,_.useCallback)((t,n)=>{let{pending:r}=z.getState();if(z.setState({pending:null}),!r||n.isValid||g.current)return;if(n.toHandle)return Kn(n);let i=`changedTouches`in t?t.changedTouches[0]:t,a=(document.elementFromPoint(i?.clientX??0,i?.clientY??0)?.closest(`.react-flow__node`))?.dataset.id;if(a&&!a.startsWith(Z))return qn(r,a);let{x:o,y:s}=e.screenToFlowPosition({x:i?.clientX??0,y:i?.clientY??0});V({kind:`nodes`,at:[Math.round(o),Math.round(s)],pending:r})},[e]),pe=(0,_.useCallback)(t=>{if(!(t.target instanceof Element)||!t.target.classList.contains(`react-flow__pane`))return;let{x:n,y:r}=e.screenToFlowPosition({x:t.clientX,y:t.clientY});V({kind:`nodes`,at:[Math.round(n),Math.round(r)],pending:null})},[e]),me=(0,_.useCallback)(e=>{let t=e.target,n=t.classList.contains(`react-flow__node`)?t.dataset.id:void 0;n&&t.matches(`:focus-visible`)&&!n.startsWith(Z)&&B([n])},[]);return(0,q.jsx)(`div`,{className:`canvas`,ref:m,onDoubleClick:pe,onFocus:me,onPointerDownCapture:Pi,children:(0,q.jsxs)(ae,{nodes:r,edges:i,nodeTypes:wi,onNodesChange:ne,onEdgesChange:se,onNodeDragStart:re,onNodeDragStop:ie,onSelectionDragStop:ie,onConnect:ce,onConnectStart:de,onConnectEnd:fe,isValidConnection:Wn,onReconnectStart:()=>{g.current=!0},onReconnect:le,onReconnectEnd:(e,t,n,r)=>{ue(e,t,n,r),g.current=!1},colorMode:p,minZoom:Ei,maxZoom:4,snapToGrid:s,snapGrid:Ti,deleteKeyCode:ki,multiSelectionKeyCode:Ai,selectionMode:d.Partial,edgesFocusable:!1,disableKeyboardA11y:!0,zoomOnDoubleClick:!1,onlyRenderVisibleElements:!0,connectionLineType:oe.Bezier,connectionRadius:24,reconnectRadius:12,proOptions:Oi,defaultViewport:{x:40,y:60,zoom:.8},"aria-label":`Workflow graph`,children:[(0,q.jsx)(o,{gap:20}),(0,q.jsx)(l,{showInteractive:!1,fitViewOptions:Di,position:`bottom-left`}),a&&(0,q.jsx)(te,{nodeColor:Ii,pannable:!0,zoomable:!0,ariaLabel:`Map of the graph`,position:`bottom-right`})]})})}function Pi(e){e.target instanceof Element&&e.target.classList.contains(`react-flow__pane`)&&Re(document.activeElement)&&document.activeElement.blur()}function Fi(e,t,n){if(t.length===0||!n)return;let r=Math.min(...t.map(e=>e.position.x)),i=Math.min(...t.map(e=>e.position.y)),a=Math.max(...t.map(e=>e.position.x+(e.width??0))),o=Math.max(...t.map(e=>e.position.y+(e.height??0))),s={x:r,y:i,width:a-r,height:o-i};e.setViewport(we(s,n.clientWidth,n.clientHeight,Ei,Di.maxZoom,Di.padding))}var Ii=e=>e.type===`frame`?`transparent`:`var(--faint)`,Li=()=>matchMedia(`(prefers-reduced-motion: reduce)`).matches?0:160;function Ri(e){let t=M(e=>e.doc),n=N(e=>e.definitions),r=z(e=>e.selected),i=U(e=>e.active),a=L(e=>e.nodes[i]),o=(0,_.useRef)(new Map);return(0,_.useMemo)(()=>{let i=new Map;for(let s of t.nodes){let t=S(s),c=a?.[t]??ji,l=e?.[t]??C(s),u=r.has(t),d=o.current.get(t),f=d&&d.node===s&&zi(d.run,c)&&d.selected===u&&d.definitions===n&&d.at[0]===l[0]&&d.at[1]===l[1];i.set(t,f?d:{node:s,run:c,selected:u,at:l,definitions:n,made:Bi(s,c,u,l,n)})}return o.current=i,[...t.groups.map((t,n)=>Wi(t,n,e)),...[...i.values()].map(e=>e.made)]},[t.nodes,t.groups,n,r,a,e])}var zi=(e,t)=>e===t||e.state===t.state&&!e.preview==!t.preview&&!e.images==!t.images&&!e.texts==!t.texts;function Bi(e,t,n,r,i){let a=k(i,e),o=jt(a,e,ri(a,t));return{id:S(e),type:`easel`,position:{x:r[0],y:r[1]},data:{},selected:n,width:o.width,height:o.height,draggable:!Ye(e),handles:Vi(o),ariaLabel:bi(e,a,t),...e.type===`Reroute`?{}:{dragHandle:`.node-header, .far-title, .sockets-row, .row-label`}}}var Vi=e=>[...[...e.inputs].map(([e,t])=>({id:`in:${e}`,type:`target`,position:s.Left,x:-7,y:t-X/2,width:X,height:X})),...e.outputs.map((t,n)=>({id:`out:${n}`,type:`source`,position:s.Right,x:e.width-X/2,y:t-X/2,width:X,height:X}))];function Hi(){let e=M(e=>e.doc),t=N(e=>e.definitions),n=z(e=>e.selectedLinks),r=(0,_.useRef)(new Map);return(0,_.useMemo)(()=>{let i=new Map;for(let a of e.links){let[o]=Y(String(a.type??`*`)),s=E(e,a.from),c=E(e,a.to);if(!s||!c||!k(t,s).outputs[a.output]||!k(t,c).inputs.some(e=>e.name===a.input))continue;let l=r.current.get(a.id),u=`out:${a.output}`,d=`in:${a.input}`,f=n.has(a.id),p=l?.source===a.from&&l.target===a.to&&l.sourceHandle===u&&l.targetHandle===d&&l.selected===f;i.set(a.id,p?l:{id:String(a.id),source:a.from,target:a.to,sourceHandle:u,targetHandle:d,selected:f,style:{stroke:o},interactionWidth:14,reconnectable:!0})}return r.current=i,[...i.values()]},[e,t,n])}var Ui=e=>{let[t,n,r,i]=b(e.bounding)?e.bounding.map(Number):[];return[t??0,n??0,r??200,i??100]};function Wi(e,t,n){let[r,i,a,o]=Ui(e),s=`${Z}${t}`,c=n?.[s]??[r,i];return{id:s,type:`frame`,position:{x:c[0],y:c[1]},data:{group:e},width:a,height:o,zIndex:-1,selectable:!1,focusable:!1,dragHandle:`.frame-title`,handles:[]}}function Gi({data:e}){let t=e.group,n=typeof t.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(t.color)?t.color:void 0;return(0,q.jsx)(`div`,{className:`frame`,style:{"--frame":n},children:(0,q.jsx)(`span`,{className:`frame-title`,children:String(t.title??`Group`)})})}function Ki(e){let t=F().groups[Number(e.slice(6))];if(!t)return new Map;let[n,r,i,a]=Ui(t),o=F().nodes.map(e=>[S(e),C(e)]).filter(([,[e,t]])=>e>=n&&e<=n+i&&t+16>=r&&t<=r+a);return new Map(o.map(([e,[t,i]])=>[e,[t-n,i-r]]))}function qi(e,t){let n=Object.entries(e).find(([e])=>e.startsWith(Z))?.[1];return n?Object.fromEntries([...t].map(([e,[t,r]])=>[e,[n[0]+t,n[1]+r]])):{}}function Ji(e){let t=Object.entries(e).filter(([e])=>!e.startsWith(Z)).map(([e,[t,n]])=>[e,[Math.round(t),Math.round(n)]]),n=Object.entries(e).filter(([e])=>e.startsWith(Z)).flatMap(([e,[t,n]])=>{let r=Number(e.slice(6)),i=F().groups[r];if(!i)return[];let[,,a,o]=Ui(i);return[{kind:`group`,place:r,group:{...i,bounding:[Math.round(t),Math.round(n),a,o]}}]});P({kind:`all`,changes:[{kind:`move`,to:Object.fromEntries(t)},...n]})}var Q=()=>[...z.getState().selected].filter(e=>E(F(),e)),$=()=>Q().length>0,Yi=()=>Q().length===1,Xi=()=>Q().flatMap(e=>E(F(),e)??[]),Zi=``,Qi=`easel/clip`;function $i(){let{nodes:e,links:t}=$t(F(),Q());Zi=Ue({[Qi]:1,nodes:e,links:t}),navigator.clipboard?.writeText(Zi).catch(()=>void 0)}function ea(e){try{let t=He(e);return y(t)&&t[Qi]===1?t:null}catch{return null}}function ta(e,t){let n=ea(e);if(!n)return!1;let{change:r,keys:i}=en(F(),n,[40,40],t);return P(r),B(i),!0}async function na(e){!ta(await navigator.clipboard?.readText?.().catch(()=>Zi)||Zi,e)&&!ta(Zi,e)&&H(`There is nothing to paste.`)}function ra(){let{change:e,keys:t}=en(F(),$t(F(),Q()),[40,40],!0);P(e),B(t)}var ia=()=>$()||z.getState().selectedLinks.size>0;function aa(){let e=Q();e.length===0?(P({kind:`unlink`,links:[...z.getState().selectedLinks]}),z.setState({selectedLinks:new Set})):(P({kind:`remove`,nodes:e}),B([]),H(`${e.length===1?`A node was`:`${e.length} nodes were`} deleted. Undo brings it back.`))}function oa(e){let t=Xi().every(t=>qe(t)===e);P({kind:`patch`,nodes:Q(),fields:{mode:t?0:e}})}function sa(){let e=Xi().map(e=>{let t=k(I(),e),{width:n,height:r}=jt(t,e,t.isOutput),[i,a]=C(e);return[i,a,i+n,a+r]}),[t,n]=[Math.min(...e.map(e=>e[0]))-20,Math.min(...e.map(e=>e[1]))-60],[r,i]=[Math.max(...e.map(e=>e[2]))+20,Math.max(...e.map(e=>e[3]))+20];P({kind:`add`,nodes:[],links:[],groups:[{title:`Group`,bounding:[t,n,r-t,i-n],color:`#3f789e`,font_size:24,flags:{}}]})}function ca(e,t){let n=Object.fromEntries(Xi().filter(e=>!Ye(e)).map(n=>{let[r,i]=C(n);return[S(n),[r+e,i+t]]}));P({kind:`move`,to:n},`nudge ${Object.keys(n).join()}`)}var la=10,ua=[{id:`edit.undo`,title:`Undo`,keys:[`Mod+Z`],when:()=>M.temporal.getState().pastStates.length>0,perform:sn,inText:!0},{id:`edit.redo`,title:`Redo`,keys:[`Mod+Shift+Z`,`Mod+Y`],when:()=>M.temporal.getState().futureStates.length>0,perform:cn,inText:!0},{id:`edit.add`,title:`Add node…`,keys:[`Space`,`Shift+A`],when:v,perform:()=>V({kind:`nodes`,at:null,pending:null})},{id:`edit.connect`,title:`Connect…`,keys:[`C`],when:Yi,perform:()=>V({kind:`connect`,node:Q()[0]??``})},{id:`edit.disconnect`,title:`Remove all links of the selection`,keys:[`Shift+X`],when:$,perform:()=>{let e=F();P({kind:`unlink`,links:Q().flatMap(t=>[...D(e,t).values(),...nt(e,t)].map(e=>e.id))})}},{id:`edit.delete`,title:`Delete`,keys:[`Delete`,`Backspace`],when:ia,perform:aa},{id:`edit.copy`,title:`Copy`,keys:[`Mod+C`],when:$,perform:$i},{id:`edit.cut`,title:`Cut`,keys:[`Mod+X`],when:$,perform:()=>{$i(),aa()}},{id:`edit.paste`,title:`Paste`,keys:[`Mod+V`],when:v,perform:()=>na(!1)},{id:`edit.pasteLinked`,title:`Paste with incoming links`,keys:[`Mod+Shift+V`],when:v,perform:()=>na(!0)},{id:`edit.duplicate`,title:`Duplicate`,keys:[`Mod+D`],when:$,perform:ra},{id:`edit.selectAll`,title:`Select all`,keys:[`Mod+A`],when:v,perform:()=>B(F().nodes.map(S))},{id:`edit.selectNone`,title:`Select nothing`,keys:[`Escape`],when:$,perform:()=>B([])},{id:`edit.mute`,title:`Mute`,keys:[`Mod+M`],when:$,perform:()=>oa(2)},{id:`edit.bypass`,title:`Bypass`,keys:[`Mod+B`],when:$,perform:()=>oa(4)},{id:`edit.collapse`,title:`Collapse or expand`,keys:[`Alt+C`],when:$,perform:()=>P({kind:`flag`,nodes:Q(),flag:`collapsed`,on:!Xi().every(Je)})},{id:`edit.pin`,title:`Pin or unpin`,keys:[`P`],when:$,perform:()=>P({kind:`flag`,nodes:Q(),flag:`pinned`,on:!Xi().every(Ye)})},{id:`edit.rename`,title:`Rename`,keys:[`F2`],when:Yi,perform:()=>z.setState({renaming:Q()[0]??null})},{id:`edit.group`,title:`Group selection`,keys:[`Mod+G`],when:$,perform:sa},{id:`edit.arrange`,title:`Arrange automatically`,keys:[`Shift+L`],when:()=>F().nodes.length>0,perform:()=>{let e=Q().length>1?new Set(Q()):void 0;P({kind:`move`,to:sr(F(),I(),e)}),z.setState(e=>({fit:e.fit+1}))}},...[[`Left`,-10,0],[`Right`,la,0],[`Up`,0,-10],[`Down`,0,la]].map(([e,t,n])=>({id:`edit.move${e}`,title:`Move selection ${e.toLowerCase()}`,keys:[`Arrow${e}`],when:$,perform:()=>ca(t,n)}))],da=`{
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
`;function fa(){let e=Object.assign(document.createElement(`input`),{type:`file`,accept:`.json,.png,.webp,application/json,image/png,image/webp`,multiple:!0});e.onchange=()=>{for(let t of e.files??[])Rr(t)},e.click()}function pa(){let e=Ln();e&&Pn(e.id)}function ma(e){let{tabs:t,active:n}=U.getState(),r=t[(t.findIndex(e=>e.id===n)+e+t.length)%t.length];r&&Nn(r.id)}var ha=[{id:`file.new`,title:`New workflow`,keys:[`Alt+N`],when:v,perform:()=>void Vr()},{id:`file.template`,title:`Start from text to image`,keys:[],when:v,perform:()=>Ir(da,`Text to image.json`)},{id:`file.open`,title:`Open…`,keys:[`Mod+O`],when:v,perform:fa,inText:!0},{id:`file.save`,title:`Save as a file`,keys:[`Mod+S`],when:v,perform:Br,inText:!0},{id:`file.close`,title:`Close this workflow`,keys:[`Alt+W`],when:v,perform:pa},{id:`file.rename`,title:`Rename this workflow`,keys:[],when:v,perform:()=>z.setState({renaming:`tab`})},{id:`file.nextTab`,title:`Next workflow`,keys:[`Alt+PageDown`],when:v,perform:()=>ma(1),inText:!0},{id:`file.previousTab`,title:`Previous workflow`,keys:[`Alt+PageUp`],when:v,perform:()=>ma(-1),inText:!0}],ga=e=>e.then(()=>void 0,e=>H(e instanceof Error?e.message:String(e),`error`)),_a=[{id:`run.queue`,title:`Run`,keys:[`Mod+Enter`],when:v,perform:()=>jr(),inText:!0},{id:`run.front`,title:`Run before all others`,keys:[`Mod+Shift+Enter`],when:v,perform:()=>jr(!0),inText:!0},{id:`run.interrupt`,title:`Stop the running job`,keys:[`Mod+Alt+Enter`],when:()=>L.getState().remaining>0,perform:()=>ga($n()),inText:!0},{id:`run.clear`,title:`Clear all waiting jobs`,keys:[],when:()=>L.getState().remaining>0,perform:()=>ga(tr())}],va=[{id:`view.commands`,title:`All commands…`,keys:[`Mod+K`,`Mod+Shift+P`],when:v,perform:()=>V({kind:`commands`}),inText:!0},{id:`view.find`,title:`Find a node…`,keys:[`Mod+F`],when:v,perform:()=>V({kind:`find`})},{id:`view.fit`,title:`Show the whole graph`,keys:[`.`],when:v,perform:()=>z.setState(e=>({fit:e.fit+1}))},{id:`view.outline`,title:`Outline panel`,keys:[`O`],when:v,perform:()=>xn(`outline`)},{id:`view.queue`,title:`Queue and history panel`,keys:[`Q`],when:v,perform:()=>xn(`queue`)},{id:`view.gallery`,title:`Pictures panel`,keys:[`G`],when:v,perform:()=>xn(`gallery`)},{id:`view.problems`,title:`Problems panel`,keys:[`E`],when:v,perform:()=>xn(`problems`)},{id:`view.minimap`,title:`Show or hide the map`,keys:[`M`],when:v,perform:()=>z.setState(({minimap:e})=>({minimap:!e}))},{id:`view.snap`,title:`Snap to the grid, or not`,keys:[],when:v,perform:()=>z.setState(({snap:e})=>({snap:!e}))},{id:`view.help`,title:`Keyboard shortcuts`,keys:[`?`],when:v,perform:()=>z.setState({help:!0})},...[`system`,`dark`,`light`].map(e=>({id:`view.theme.${e}`,title:`Colours: ${e}`,keys:[],when:v,perform:()=>Cn(e)}))],ya=[..._a,...ua,...ha,...va],ba=new Map;for(let e of ya)for(let t of e.keys){if(ba.has(t))throw Error(`${t} means both ${ba.get(t)?.id} and ${e.id}`);ba.set(t,e)}var xa=e=>{let t=ya.find(t=>t.id===e);if(!t)throw Error(`there is no command ${e}`);return t};function Sa(e){if(e.isComposing||e.defaultPrevented)return null;let{palette:t,lightbox:n,help:r}=z.getState();if(t||n||r)return null;let i=Ie(e),a=ba.get(i);if(!a?.when())return null;if(Re(e.target))return a.inText?a:null;let o=[`Space`,`Enter`].includes(i)||i.startsWith(`Arrow`),s=e.target instanceof Element?e.target:null;return o&&s?.closest(`button, a, input, [role=listbox], [role=menu], [role=tablist], [role=tree]`)?null:a}function Ca(e){let{palette:t,lightbox:n,help:r}=z.getState();return!t&&!n&&!r&&ba.get(Ie(e))?.inText===!0}function wa(){let e=e=>{let t=Sa(e);t?(e.preventDefault(),t.perform()):Ca(e)&&e.preventDefault()};return addEventListener(`keydown`,e),()=>removeEventListener(`keydown`,e)}var Ta=[`edit.connect`,`edit.rename`,`edit.collapse`,`edit.mute`,`edit.bypass`,`edit.pin`,`edit.group`,`edit.duplicate`,`edit.copy`,`edit.cut`,`edit.disconnect`,`edit.delete`],Ea=[`edit.add`,`edit.paste`,`edit.selectAll`,`edit.arrange`,`view.fit`,`edit.undo`,`edit.redo`];function Da({children:e}){let t=z(e=>e.selected.size>0);return(0,q.jsxs)(Oe,{children:[(0,q.jsx)(ye,{className:`stage`,onContextMenu:e=>{let t=e.target instanceof Element?e.target.closest(`.react-flow__node`)?.dataset.id:void 0;!t||t.startsWith(`group:`)?B([]):z.getState().selected.has(t)||B([t])},children:e}),(0,q.jsx)(be,{children:(0,q.jsx)(de,{className:`positioner`,children:(0,q.jsx)(he,{className:`menu`,"aria-label":t?`Selection`:`Canvas`,children:(t?Ta:Ea).map(xa).map(e=>(0,q.jsxs)(me,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,q.jsx)(`span`,{children:e.title}),(0,q.jsx)(`kbd`,{children:e.keys[0]?Le(e.keys[0]):``})]},e.id))})})})]})}function Oa(){let e=z(e=>e.lightbox),n=()=>z.setState({lightbox:null}),r=e?.urls??[],i=e?.at??0,a=r[i],o=e=>z.setState({lightbox:{urls:r,at:(i+e+r.length)%r.length}}),s=a?new URLSearchParams(a.split(`?`)[1]).get(`filename`)??``:``,c=async()=>{if(a)try{await Rr(new File([await(await fetch(a)).blob()],s)),n()}catch{H(`${s} cannot be read.`,`error`)}};return(0,q.jsx)(Te,{open:e!==null,onOpenChange:e=>!e&&n(),children:(0,q.jsxs)(ge,{children:[(0,q.jsx)(Ee,{className:`backdrop`}),(0,q.jsxs)(ue,{className:`lightbox`,onKeyDown:e=>{e.key===`ArrowRight`&&o(1),e.key===`ArrowLeft`&&o(-1)},children:[(0,q.jsxs)(`div`,{className:`lightbox-head`,children:[(0,q.jsx)(xe,{className:`lightbox-title`,children:s}),(0,q.jsx)(`span`,{className:`faint`,children:r.length>1?`${i+1} of ${r.length}`:``}),(0,q.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>void c(),children:`Open its workflow`}),(0,q.jsx)(`a`,{className:`button small`,href:a,download:s,children:`Download`}),(0,q.jsx)(Se,{className:`icon-button`,"aria-label":`Close the picture`,children:(0,q.jsx)(g,{size:16})})]}),(0,q.jsxs)(`div`,{className:`lightbox-stage`,children:[r.length>1&&(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Previous picture`,onClick:()=>o(-1),children:(0,q.jsx)(_e,{})}),a&&(0,q.jsx)(`img`,{src:a,alt:s}),r.length>1&&(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Next picture`,onClick:()=>o(1),children:(0,q.jsx)(t,{})})]})]})]})})}function ka(){let e=z(e=>e.help);return(0,q.jsx)(Te,{open:e,onOpenChange:e=>z.setState({help:e}),children:(0,q.jsxs)(ge,{children:[(0,q.jsx)(Ee,{className:`backdrop`}),(0,q.jsxs)(ue,{className:`dialog`,children:[(0,q.jsx)(xe,{children:`Keyboard shortcuts`}),(0,q.jsx)(`p`,{className:`faint`,children:`Everything can be done without a mouse: Tab goes from node to node, C links the chosen one.`}),(0,q.jsx)(`dl`,{className:`shortcuts`,children:ya.filter(e=>e.keys.length).map(e=>(0,q.jsxs)(`div`,{children:[(0,q.jsx)(`dt`,{children:e.title}),(0,q.jsx)(`dd`,{children:e.keys.map(e=>(0,q.jsx)(`kbd`,{children:Le(e)},e))})]},e.id))}),(0,q.jsx)(Se,{className:`button`,children:`Close`})]})]})})}function Aa(){let e=z(e=>e.toasts);return(0,q.jsx)(`section`,{className:`toasts`,"aria-live":`polite`,"aria-label":`Messages`,children:e.map(e=>(0,q.jsxs)(`div`,{className:`toast is-${e.tone}`,children:[(0,q.jsx)(`span`,{children:e.text}),(0,q.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":`Dismiss this message`,onClick:()=>En(e.id),children:(0,q.jsx)(g,{size:14})})]},e.id))})}var ja=100,Ma=()=>V(null);function Na(){let e=z(e=>e.palette);return(0,q.jsx)(Te,{open:e!==null,onOpenChange:e=>!e&&Ma(),children:(0,q.jsxs)(ge,{children:[(0,q.jsx)(Ee,{className:`backdrop`}),(0,q.jsx)(ue,{className:`palette`,children:e&&(0,q.jsx)(Pa,{palette:e},e.kind)})]})})}function Pa({palette:e}){let[t,n]=(0,_.useState)(null),r=(0,_.useMemo)(()=>Fa(e,t,n),[e,t]),[i,a]=(0,_.useState)(``),[o,s]=(0,_.useState)(0),c=(0,_.useId)(),l=(0,_.useRef)(null),u=(0,_.useRef)(null),d=(0,_.useMemo)(()=>new De(r.items,{keys:[{name:`title`,weight:3},{name:`note`,weight:1},{name:`more`,weight:1}],threshold:.35,ignoreLocation:!0}),[r]),f=(i?d.search(i).map(e=>e.item):r.items).slice(0,ja);(0,_.useEffect)(()=>{a(``),s(0),l.current?.focus()},[t]),(0,_.useEffect)(()=>{u.current?.scrollIntoView({block:`nearest`})},[o]);let p=e=>{e&&e.choose()!==!0&&Ma()};return(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(xe,{className:`palette-title`,children:r.label}),(0,q.jsx)(`input`,{ref:l,className:`palette-field`,type:`text`,role:`combobox`,"aria-label":r.label,"aria-expanded":`true`,"aria-controls":c,autoComplete:`off`,spellCheck:!1,"aria-activedescendant":f[o]?`${c}-${o}`:void 0,value:i,onKeyDown:e=>{let t={ArrowDown:1,ArrowUp:-1,PageDown:8,PageUp:-8}[e.key];e.key===`Enter`&&!e.nativeEvent.isComposing?(e.preventDefault(),p(f[o])):t&&(e.preventDefault(),s(Math.max(0,Math.min(f.length-1,o+t))))},placeholder:`Type to search`,onChange:e=>{a(e.target.value),s(0)}}),(0,q.jsx)(`div`,{id:c,role:`listbox`,"aria-label":r.label,className:`palette-list`,children:f.map((e,t)=>(0,q.jsxs)(`div`,{id:`${c}-${t}`,ref:t===o?u:null,role:`option`,"aria-selected":t===o,tabIndex:-1,onClick:()=>p(e),onMouseMove:()=>s(t),children:[e.hue&&(0,q.jsx)(`span`,{className:`dot`,style:{background:e.hue}}),(0,q.jsx)(`span`,{className:`palette-name`,children:e.title}),(0,q.jsx)(`span`,{className:`palette-note`,children:e.note})]},e.id))}),f.length===0&&(0,q.jsx)(`p`,{className:`palette-none`,children:r.none})]})}function Fa(e,t,n){switch(e.kind){case`commands`:return{label:`Commands`,none:`No command is called that.`,items:ya.filter(e=>e.when()&&e.id!==`view.commands`).map(e=>({id:e.id,title:e.title,note:e.keys.map(Le).join(`  `),more:e.id,choose:()=>(Ma(),e.perform(),!0)}))};case`nodes`:return{label:e.pending?`Add a node that fits`:`Add a node`,none:`No node is called that.`,items:Ia(e.at,e.pending)};case`find`:return{label:`Find a node in this workflow`,none:`No node of this workflow is called that.`,items:F().nodes.map(e=>{let t=k(I(),e);return{id:S(e),title:T(e,t.title),note:`${e.type} · ${S(e)}`,more:``,choose:()=>Sn(S(e))}})};case`connect`:return t?{label:`To`,none:`Nothing in this workflow fits. Add a node for it first.`,items:Va(t)}:{label:`Connect`,none:`This node has no sockets.`,items:Ba(e.node,n)}}}function Ia(e,t){let n=F(),r=I(),i=t&&`from`in t?Tt(n,r,t.from):null,a=t&&`to`in t?E(n,t.to.node):void 0,o=a&&t&&`to`in t?k(r,a).inputs.find(e=>e.name===t.to.input)?.type:void 0,s=e=>i===null?o===void 0||e.outputs.some(e=>wt(e.type,o)):e.inputs.some(e=>wt(i,e.type)),c=e=>i!==null&&e.inputs.some(e=>e.type===i&&!e.widget)?0:1;return[...r.values()].filter(s).sort((e,t)=>c(e)-c(t)||e.title.localeCompare(t.title)).map(n=>({id:n.type,title:n.title,note:n.category,more:`${n.type} ${n.outputs.map(e=>e.type).join(` `)} ${n.description}`,hue:n.outputs[0]?Y(n.outputs[0].type)[0]:`var(--faint)`,choose:()=>La(n,e,t)}))}function La(e,t,n){let r=F(),i=I(),a=Qt(r,e,[0,0],[270,0]),{width:o,height:s}=jt(e,a,e.isOutput),c=r.nodes.map(e=>{let t=k(i,e),n=jt(t,e,t.isOutput);return{pos:C(e),size:[n.width,n.height]}}),l={...a,pos:[...t??Ft(c,[o,s],Ci())],size:[o,s]},u={kind:`add`,nodes:[l],links:[]},d=Kt(r,u,i),f=S(l),p=n&&(`from`in n?n.from:kt(d,i,n.to,f)),m=n&&(`to`in n?n.to:Dt(d,i,n.from,f));P(p&&m?{kind:`all`,changes:[u,{kind:`link`,from:p,to:m}]}:u),B([f]),za(f)}var Ra=30;function za(e,t=Ra){let n=document.querySelector(`.react-flow__node[data-id="${CSS.escape(e)}"]`),r=document.querySelector(`.palette`)!==null;n&&!r&&n.focus(),(!n||r||document.activeElement!==n)&&t>0&&setTimeout(()=>za(e,t-1),30)}function Ba(e,t){let n=E(F(),e);if(!n)return[];let r=k(I(),n),i=e=>(t(e),!0),a=D(F(),e);return[...r.outputs.map((t,n)=>({id:`out:${n}`,title:`${t.name} →`,note:`output, ${t.type}`,more:``,hue:Y(t.type)[0],choose:()=>i({from:{node:e,output:n}})})),...r.inputs.map(t=>({id:`in:${t.name}`,title:`→ ${t.name||`input`}`,note:`input, ${t.type}${a.has(t.name)?`, linked`:``}`,more:``,hue:Y(t.type)[0],choose:()=>i({to:{node:e,input:t.name}})}))]}function Va(e){let t=F(),n=I(),r=(e,t,n)=>()=>{P({kind:`link`,from:e,to:t}),H(`Linked: ${n}.`)},i=[];for(let a of t.nodes){let o=S(a),s=k(n,a),c=T(a,s.title);if(`from`in e)for(let l of s.inputs){let s={node:o,input:l.name};if(!A(t,n,e.from,s).ok)continue;let u=D(t,o).has(l.name);i.push({id:`${o} ${l.name}`,title:`${c}: ${l.name}`,note:`${u?`replaces a link · `:``}${o}`,more:a.type,hue:Y(l.type)[0],choose:r(e.from,s,`${c}, ${l.name}`)})}else s.outputs.forEach((s,l)=>{let u={node:o,output:l};A(t,n,u,e.to).ok&&i.push({id:`${o} ${l}`,title:`${c}: ${s.name}`,note:o,more:a.type,hue:Y(s.type)[0],choose:r(u,e.to,`${c}, ${s.name}`)})})}return i}var Ha={outline:[`Outline`,()=>(0,q.jsx)(Wa,{})],queue:[`Queue and history`,()=>(0,q.jsx)(Ja,{})],gallery:[`Pictures`,()=>(0,q.jsx)($a,{})],problems:[`Problems`,()=>(0,q.jsx)(eo,{})]};function Ua(){let e=z(e=>e.panel);if(!e)return null;let[t,n]=Ha[e];return(0,q.jsxs)(`aside`,{className:`side`,"aria-label":t,children:[(0,q.jsxs)(`div`,{className:`side-head`,children:[(0,q.jsx)(`h2`,{children:t}),(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Close ${t}`,onClick:()=>z.setState({panel:null}),children:(0,q.jsx)(g,{size:16})})]}),(0,q.jsx)(`div`,{className:`side-body`,children:n()})]})}function Wa(){let e=M(e=>e.doc),t=N(e=>e.definitions),n=z(e=>e.selected),r=U(e=>e.active),i=L(e=>e.nodes[r]);if(e.nodes.length===0)return(0,q.jsx)(`p`,{className:`faint`,children:`This workflow is empty.`});let a=e=>e?T(e,k(t,e).title):`?`;return(0,q.jsx)(`ol`,{className:`outline`,children:Ga(e.nodes,t=>[...D(e,t).values()].map(e=>e.from)).map(r=>{let o=S(r),s=[...D(e,o).values()];return(0,q.jsxs)(`li`,{children:[(0,q.jsxs)(`button`,{type:`button`,"aria-pressed":n.has(o),onClick:()=>Sn(o),children:[a(r),` `,(0,q.jsx)(`span`,{className:`faint`,children:o}),(0,q.jsx)(`span`,{className:`hidden`,children:bi(r,k(t,r),i?.[o]??{})})]}),s.length>0&&(0,q.jsx)(`ul`,{"aria-label":`Links into ${a(r)}`,children:s.map(t=>(0,q.jsx)(`li`,{children:`${t.input||`input`} ← ${a(E(e,t.from))}`},t.id))})]},o)})})}function Ga(e,t){let n=new Map(e.map(e=>[S(e),e])),r=new Set,i=[];for(let e of n.keys()){let a=[[e,!1]];for(let e=a.pop();e;e=a.pop()){let[o,s]=e,c=n.get(o);s&&c?i.push(c):r.has(o)||(r.add(o),a.push([o,!0],...t(o).map(e=>[e,!1])))}}return i}var Ka=e=>H(e instanceof Error?e.message:String(e),`error`);function qa(){let e=L(e=>e.turn),[t,n]=(0,_.useState)([]);return(0,_.useEffect)(()=>{let e=!1,t=setTimeout(()=>void ar().then(t=>!e&&n(t),()=>void 0),120);return()=>{e=!0,clearTimeout(t)}},[e]),t}function Ja(){let e=L(e=>e.turn),[t,n]=(0,_.useState)({running:[],pending:[]}),r=qa();(0,_.useEffect)(()=>{let e=!1;return ir().then(t=>!e&&n(t),()=>void 0),()=>{e=!0}},[e]);let i=e=>void e.then(()=>L.setState(e=>({turn:e.turn+1})),Ka);return(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`Running and waiting`}),t.running.length+t.pending.length===0&&(0,q.jsx)(`p`,{className:`faint`,children:`Nothing is running.`}),(0,q.jsxs)(`ul`,{className:`jobs`,children:[t.running.map(e=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`span`,{className:`glyph glyph-running`}),` `,(0,q.jsx)(Xa,{job:e}),` `,(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Stop ${Ya(e)}`,onClick:()=>i($n()),children:`Stop`})]},e.id)),t.pending.map(e=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`span`,{className:`glyph glyph-queued`}),` `,(0,q.jsx)(Xa,{job:e}),` `,(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Remove ${Ya(e)}`,onClick:()=>i(er([e.id])),children:`Remove`})]},e.id))]}),(0,q.jsx)(`h3`,{children:`Ended`}),(0,q.jsx)(`ul`,{className:`jobs`,children:r.map(e=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`span`,{className:`glyph glyph-${e.status===`success`?`finished`:`error`}`,role:`img`,"aria-label":e.status===`success`?`done`:`failed or stopped`}),(0,q.jsx)(Qa,{job:e}),(0,q.jsxs)(`span`,{className:`job-words`,children:[(0,q.jsx)(Xa,{job:e}),e.message&&(0,q.jsx)(`span`,{className:`bad`,children:e.message})]}),(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Open the workflow of ${Ya(e)}`,onClick:()=>Ir(Ue(e.workflow),`Job ${e.number}.json`),children:`Open`}),(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Delete ${Ya(e)}`,onClick:()=>i(nr([e.id])),children:`Delete`})]},e.id))})]})}var Ya=e=>`job ${e.number}`,Xa=({job:e})=>(0,q.jsx)(`span`,{className:`job-name`,title:e.id,children:Ya(e)}),Za=e=>Object.values(e.outputs).flatMap(e=>_n(e).images??[]);function Qa({job:e}){let t=Za(e);return t[0]?(0,q.jsx)(`button`,{type:`button`,className:`thumb small`,"aria-label":`Show the pictures of ${Ya(e)}`,onClick:()=>z.setState({lightbox:{urls:t,at:0}}),children:(0,q.jsx)(`img`,{src:`${t[0]}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})}):(0,q.jsx)(`span`,{className:`thumb-empty`})}function $a(){let e=qa().flatMap(Za).filter(e=>e.includes(`type=output`));return e.length===0?(0,q.jsx)(`p`,{className:`faint`,children:`Pictures that you make are shown here.`}):(0,q.jsx)(`ul`,{className:`gallery`,children:e.map((t,n)=>(0,q.jsx)(`li`,{children:(0,q.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":`Picture ${n+1} of ${e.length}`,onClick:()=>z.setState({lightbox:{urls:e,at:n}}),children:(0,q.jsx)(`img`,{src:`${t}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})})},t))})}function eo(){let e=M(e=>e.doc),{definitions:t,isLoaded:n}=N(),r=U(e=>e.active),{nodes:i,problem:a}=L(),o=n?Ar(e):[],s=n?e.nodes.flatMap(n=>{let r=t.get(n.type);if(!r||r.isVirtual||typeof n.mode==`number`&&[2,4].includes(n.mode))return[];let i=D(e,S(n));return r.inputs.filter(e=>!e.widget&&!e.optional&&!i.has(e.name)).map(e=>[n,e.name])}):[],c=Object.entries(i[r]??{}).flatMap(([e,t])=>(t.errors??[]).map(t=>[e,t])).filter(([t])=>E(e,t)),l=e=>T(e,k(t,e).title),u=o.length+s.length+c.length===0;return(0,q.jsxs)(q.Fragment,{children:[u&&(0,q.jsx)(`p`,{className:`faint`,children:a??`Nothing stands in the way of a run.`}),o.length>0&&(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`Missing node types`}),(0,q.jsx)(`ul`,{className:`problems`,children:o.map(t=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`code`,{children:t}),` `,e.nodes.filter(e=>e.type===t).map(e=>(0,q.jsx)(to,{node:S(e),name:l(e)},S(e)))]},t))})]}),s.length>0&&(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`Inputs without a link`}),(0,q.jsx)(`ul`,{className:`problems`,children:s.map(([e,t])=>(0,q.jsxs)(`li`,{children:[`${l(e)}: ${t}`,` `,(0,q.jsx)(to,{node:S(e),name:l(e)})]},`${S(e)} ${t}`))})]}),c.length>0&&(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`The last run`}),(0,q.jsx)(`ul`,{className:`problems`,children:c.map(([t,n])=>{let r=E(e,t);return(0,q.jsxs)(`li`,{children:[`${r?l(r):t}${n.input?`, ${n.input}`:``}: ${n.message}`,` `,(0,q.jsx)(to,{node:t,name:r?l(r):t})]},t+n.input+n.message)})})]})]})}var to=({node:e,name:t})=>(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Locate ${t} (${e})`,onClick:()=>Sn(e),children:`Locate`});function no(){return(0,q.jsxs)(`header`,{className:`topbar`,children:[(0,q.jsx)(io,{}),(0,q.jsx)(ao,{}),(0,q.jsx)(co,{}),(0,q.jsxs)(`nav`,{className:`panel-buttons`,"aria-label":`Panels`,children:[(0,q.jsx)(lo,{panel:`outline`,name:`Outline`,icon:(0,q.jsx)(ee,{size:16})}),(0,q.jsx)(lo,{panel:`queue`,name:`Queue and history`,icon:(0,q.jsx)(r,{size:16})}),(0,q.jsx)(lo,{panel:`gallery`,name:`Pictures`,icon:(0,q.jsx)(ve,{size:16})}),(0,q.jsx)(lo,{panel:`problems`,name:`Problems`,icon:(0,q.jsx)(je,{size:16})})]})]})}var ro=[[`File`,[`file.new`,`file.template`,`file.open`,`file.save`,`file.rename`,`file.close`]],[`Edit`,[`edit.undo`,`edit.redo`,`edit.add`,`edit.group`,`edit.arrange`]],[`View`,[`view.commands`,`view.find`,`view.outline`,`view.queue`,`view.gallery`,`view.problems`,`view.fit`,`view.minimap`,`view.snap`,`view.theme.system`,`view.theme.dark`,`view.theme.light`,`view.help`]]];function io(){return(0,q.jsxs)(pe,{children:[(0,q.jsxs)(fe,{className:`icon-button brand`,"aria-label":`Easel menu`,children:[(0,q.jsx)(i,{size:16}),(0,q.jsx)(`span`,{children:`Easel`})]}),(0,q.jsx)(be,{children:(0,q.jsx)(Ce,{className:`positioner`,sideOffset:6,align:`start`,children:(0,q.jsx)(he,{className:`menu`,children:ro.map(([e,t])=>(0,q.jsxs)(ke,{children:[(0,q.jsx)(le,{className:`menu-label`,children:e}),t.map(xa).map(e=>(0,q.jsxs)(me,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,q.jsx)(`span`,{children:e.title}),(0,q.jsx)(`kbd`,{children:e.keys[0]?Le(e.keys[0]):``})]},e.id))]},e))})})})]})}function ao(){let{tabs:e,active:t}=U();return(0,q.jsxs)(`div`,{className:`tabs`,children:[(0,q.jsx)(`ul`,{"aria-label":`Open workflows`,children:e.map(e=>(0,q.jsx)(oo,{tab:e,isActive:e.id===t},e.id))}),(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`New workflow`,onClick:()=>Vr(),children:(0,q.jsx)(Ae,{size:16})})]})}function oo({tab:e,isActive:t}){let n=M(n=>(t?n.doc:e.doc)!==e.saved),r=z(e=>e.renaming===`tab`)&&t;return(0,q.jsxs)(`li`,{className:t?`tab is-active`:`tab`,children:[r?(0,q.jsx)($r,{title:e.name,label:`Name of the workflow`,done:t=>{z.setState({renaming:null}),t&&Fn(e.id,t)}}):(0,q.jsxs)(`button`,{type:`button`,"aria-current":t?`page`:void 0,onClick:()=>Nn(e.id),onDoubleClick:()=>z.setState({renaming:`tab`}),children:[e.name,n&&(0,q.jsx)(`span`,{role:`img`,"aria-label":`, not saved`,className:`dirty`})]}),(0,q.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":`Close ${e.name}`,onClick:()=>Pn(e.id),children:(0,q.jsx)(g,{size:12})})]})}var so=100;function co(){let e=z(e=>e.count),{remaining:t,online:n}=L(),r=e=>()=>void xa(e).perform();return(0,q.jsxs)(`div`,{className:`run`,children:[(0,q.jsxs)(`button`,{type:`button`,className:`button primary`,onClick:r(`run.queue`),disabled:!n,title:`Run (${Le(`Mod+Enter`)})`,children:[(0,q.jsx)(re,{size:14}),` Run`]}),(0,q.jsx)(`input`,{type:`number`,className:`field count`,"aria-label":`How many times`,min:1,max:so,value:e,onChange:e=>z.setState({count:Math.max(1,Math.min(so,Math.round(Number(e.target.value))||1))})}),(0,q.jsxs)(`button`,{type:`button`,className:`button`,onClick:r(`run.interrupt`),disabled:t===0,title:`Stop (${Le(`Mod+Alt+Enter`)})`,children:[(0,q.jsx)(ne,{size:12}),` Stop`]})]})}function lo({panel:e,name:t,icon:n}){let r=z(t=>t.panel===e),i=L(e=>e.remaining),a=ya.find(t=>t.id===`view.${e}`)?.keys[0];return(0,q.jsxs)(`button`,{type:`button`,className:`icon-button`,"aria-pressed":r,"aria-label":e===`queue`&&i?`${t}, ${i} waiting`:t,title:a?`${t} (${a})`:t,onClick:()=>xn(e),children:[n,e===`queue`&&i>0&&(0,q.jsx)(`span`,{className:`badge`,"aria-hidden":`true`,children:i})]})}function uo(){return(0,_.useEffect)(wa,[]),(0,q.jsxs)(`div`,{className:`app`,onDragOver:e=>e.preventDefault(),onDrop:e=>{if(e.dataTransfer.files.length!==0){e.preventDefault();for(let t of e.dataTransfer.files)Rr(t)}},children:[(0,q.jsx)(no,{}),(0,q.jsxs)(`div`,{className:`middle`,children:[(0,q.jsxs)(`main`,{children:[(0,q.jsx)(`h1`,{className:`hidden`,children:`Easel`}),(0,q.jsx)(Da,{children:(0,q.jsx)(Mi,{})}),(0,q.jsx)(fo,{})]}),(0,q.jsx)(Ua,{})]}),(0,q.jsx)(po,{}),(0,q.jsx)(Na,{}),(0,q.jsx)(Oa,{}),(0,q.jsx)(ka,{}),(0,q.jsx)(Aa,{})]})}function fo(){return M(e=>e.doc.nodes.length===0)?(0,q.jsxs)(`div`,{className:`empty`,children:[(0,q.jsx)(`p`,{children:`An empty workflow`}),[`file.template`,`edit.add`,`file.open`].map(xa).map(e=>(0,q.jsx)(`button`,{type:`button`,className:`button`,onClick:()=>void e.perform(),children:e.title},e.id)),(0,q.jsx)(`p`,{className:`faint`,children:`Or drop a workflow, or a picture you made, anywhere here.`})]}):null}function po(){let{online:e,remaining:t,nodes:n}=L(),r=N(e=>e.isLoaded),{tabs:i,active:a}=U(),o=Object.entries(n[a]??{}).find(([,e])=>e.state===`running`),s=M(e=>o?E(e.doc,o[0]):void 0),c=o?.[1].max?Math.round(100*(o[1].value??0)/o[1].max):0,l=i.find(e=>e.id===a)?.name??`Easel`,u=t>0;(0,_.useEffect)(()=>{document.title=u?`[${c}%] ${l} · Easel`:`${l} · Easel`},[u,c,l]);let d=s?T(s,I().get(s.type)?.title??s.type):``,f=e?r?u?d?`${d} ${c}%`:`Running`:`Ready`:`The server is loading its nodes…`:`No connection; trying again. Your work is kept.`;return(0,q.jsxs)(`footer`,{className:`status`,children:[(0,q.jsx)(`span`,{className:`glyph glyph-${e?u?`running`:`finished`:`error`}`}),(0,q.jsx)(`span`,{role:`status`,children:f}),t>1&&(0,q.jsx)(`span`,{className:`faint`,children:`${t-1} more waiting`})]})}var mo=class extends _.Component{state={error:null};static getDerivedStateFromError(e){return{error:e instanceof Error?e.message:String(e)}}render(){return this.state.error===null?this.props.children:(0,q.jsxs)(`main`,{className:`failure`,role:`alert`,children:[(0,q.jsx)(`h1`,{children:`The editor has failed`}),(0,q.jsxs)(`p`,{children:[`What you made is kept in this browser. `,this.state.error]}),(0,q.jsx)(`button`,{type:`button`,className:`button primary`,onClick:()=>location.reload(),children:`Load it again`})]})}};Cn(z.getState().theme),zn()||Ir(da,`Text to image.json`),Bn(),kr().then(()=>{Lr(F()),z.setState(e=>({fit:e.fit+1}))}),Or(e=>{e||kr(),Fr().catch(()=>void 0)}),addEventListener(`paste`,e=>{if(Re(e.target))return;let t=e.clipboardData?.files[0],n=e.clipboardData?.getData(`text`)??``;t?Rr(t):n&&!ta(n,!1)&&n.trimStart().startsWith(`{`)&&Ir(n,`Pasted.json`)});var ho=document.getElementById(`root`);ho&&(0,Pe.createRoot)(ho).render((0,q.jsx)(_.StrictMode,{children:(0,q.jsx)(mo,{children:(0,q.jsx)(uo,{})})}));