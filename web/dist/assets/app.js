import{n as e}from"./rolldown-runtime.js";import{A as t,B as n,C as r,D as i,E as a,F as o,G as s,H as c,I as l,J as u,K as d,L as f,M as p,N as ee,O as te,P as m,R as ne,S as re,T as ie,U as ae,V as oe,W as se,Y as ce,_ as le,a as ue,b as h,c as de,d as fe,f as pe,g as me,h as he,i as ge,j as _e,k as ve,l as ye,m as be,n as xe,o as Se,p as Ce,q as we,r as Te,s as Ee,t as De,u as Oe,v as ke,w as Ae,x as je,y as Me,z as Ne}from"./vendor.js";var g=e(ce(),1),Pe=u(),_=()=>!0,Fe=typeof navigator<`u`&&/mac/i.test(navigator.platform);function Ie(e){let t=e.key.length===1?e.key.toUpperCase():e.key,n=e.key.length===1&&!/[a-z0-9 ]/i.test(e.key);return[(Fe?e.metaKey:e.ctrlKey)?`Mod`:``,e.altKey?`Alt`:``,e.shiftKey&&!n?`Shift`:``,t===` `?`Space`:t].filter(Boolean).join(`+`)}var Le=e=>e.replace(`Mod`,Fe?`⌘`:`Ctrl`).replace(`Shift`,Fe?`⇧`:`Shift`).replace(`Alt`,Fe?`⌥`:`Alt`).replaceAll(`+`,Fe?``:`+`);function Re(e){return e instanceof HTMLElement?e.isContentEditable||e instanceof HTMLTextAreaElement||e instanceof HTMLSelectElement||e instanceof HTMLInputElement&&![`checkbox`,`button`,`range`,`radio`].includes(e.type):!1}var ze=/[\s]*([{}[\]:,]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y,Be=/^-?\d+$/,Ve=500;function He(e){if(!/\d{16}/.test(e))return JSON.parse(e);JSON.parse(e);let t=0,n=()=>{ze.lastIndex=t;let n=ze.exec(e)?.[1];if(n===void 0)throw SyntaxError(`JSON: nothing readable at character ${t}`);return t=ze.lastIndex,n},r=(e,t)=>{if(t>Ve)throw SyntaxError(`JSON: nested deeper than ${Ve}`);if(e===`[`){let e=[];for(let i=n();i!==`]`;i=n())i!==`,`&&e.push(r(i,t+1));return e}if(e===`{`){let e=[];for(let i=n();i!==`}`;i=n()){if(i===`,`)continue;let a=JSON.parse(i);n(),e.push([a,r(n(),t+1)])}return Object.fromEntries(e)}return Be.test(e)&&!Number.isSafeInteger(Number(e))?BigInt(e):JSON.parse(e)};return r(n(),0)}function Ue(e,t=0){let n=(e,r)=>{if(typeof e==`bigint`)return e.toString();if(typeof e!=`object`||!e)return JSON.stringify(e??null);let i=r+` `.repeat(t),a=Array.isArray(e)?e.map(e=>n(e,i)):Object.entries(e).filter(([,e])=>e!==void 0).map(([e,r])=>`${JSON.stringify(e)}:${t?` `:``}${n(r,i)}`),[o,s]=Array.isArray(e)?`[]`:`{}`;return a.length===0?`${o}${s}`:t?`${o}\n${i}${a.join(`,\n${i}`)}\n${r}${s}`:`${o}${a.join(`,`)}${s}`};return n(e,``)}var v=e=>typeof e==`object`&&!!e&&!Array.isArray(e),y=e=>Array.isArray(e),We=`a workflow file has "nodes" (saved by an editor) or nodes with "class_type" (for programs)`,b={root:{version:.4},nodes:[],links:[],groups:[],dangling:[]},Ge=(e,t)=>{let[n,r]=y(e)?e:v(e)?[e[0],e[1]]:[];return[typeof n==`number`?n:t[0],typeof r==`number`?r:t[1]]},x=e=>String(e.id),S=e=>Ge(e.pos,[0,0]),Ke=e=>Ge(e.size,[0,0]),qe=e=>typeof e.mode==`number`?e.mode:0,Je=e=>v(e.flags)&&e.flags.collapsed===!0,Ye=e=>v(e.flags)&&e.flags.pinned===!0,C=(e,t)=>y(e[t])?e[t].filter(v):[],w=(e,t)=>typeof e.title==`string`&&e.title!==``?e.title:t,Xe=new WeakMap;function Ze(e){let t=Xe.get(e.nodes);return t||(t=new Map(e.nodes.map(e=>[x(e),e])),Xe.set(e.nodes,t)),t}var T=(e,t)=>Ze(e).get(t),Qe=new WeakMap;function $e(e){let t=Qe.get(e.links);if(!t){let n=new Map,r=new Map;for(let t of e.links){let e=n.get(t.to)??new Map;n.set(t.to,e.set(t.input,t)),r.set(t.from,[...r.get(t.from)??[],t])}t={into:n,outOf:r},Qe.set(e.links,t)}return t}var et=new Map,tt=[],E=(e,t)=>$e(e).into.get(t)??et,nt=(e,t)=>$e(e).outOf.get(t)??tt,rt=e=>v(e)&&Object.values(e).length>0&&Object.values(e).every(e=>v(e)&&typeof e.class_type==`string`);function it(e){if(!v(e)||!y(e.nodes))throw Error(`This is no workflow: ${We}.`);let t=e.nodes.map((e,t)=>{if(!v(e)||typeof e.type!=`string`||![`number`,`string`].includes(typeof e.id))throw Error(`nodes[${t}]: a node has an "id" and a "type".`);return e}),n=new Map(t.map(e=>[x(e),e]));if(n.size!==t.length)throw Error(`Two nodes of this workflow have the same id.`);let r=new Map;for(let e of t)for(let t of C(e,`inputs`))typeof t.link==`number`&&typeof t.name==`string`&&r.set(t.link,[x(e),t.name]);let i=[],a=[];for(let t of y(e.links)?e.links:[]){let e=at(t,n,r);e?i.push(e):a.push(t)}return{root:e,nodes:t,links:i,groups:(y(e.groups)?e.groups:[]).filter(v),dangling:a}}function at(e,t,n){let[r,i,a,o,s,c]=y(e)?e:v(e)?[e.id,e.origin_id,e.origin_slot,e.target_id,e.target_slot,e.type]:[];if(typeof r!=`number`)return null;let l=t.get(String(o)),u=n.get(r),d=C(l??{},`inputs`)[Number(s)],f=u&&u[0]===String(o)?u[1]:d?.name;return!t.has(String(i))||!l||typeof f!=`string`||!Number.isInteger(Number(a))?null:{id:r,from:String(i),output:Number(a),to:String(o),input:f,type:c??`*`,raw:e}}function ot(e){let t=e.root.version===1,n=new Map,r=e.nodes.map(t=>st(e,t,n)),i=e.links.map(r=>{let i=n.get(r)??0,a=v(r.raw)?r.raw:{},o=T(e,r.from)?.id??r.from,s=T(e,r.to)?.id??r.to;return t?{...a,id:r.id,origin_id:o,origin_slot:r.output,target_id:s,target_slot:i,type:r.type}:[r.id,o,r.output,s,i,r.type]}),a={lastNodeId:lt(e),lastLinkId:ut(e)},o={...e.root,nodes:r,links:[...i,...e.dangling],groups:e.groups};return t?o.state={...v(e.root.state)?e.root.state:{},...a}:Object.assign(o,{last_node_id:a.lastNodeId,last_link_id:a.lastLinkId}),o.version===void 0&&(o.version=.4),o}function st(e,t,n){let r=E(e,x(t)),i=nt(e,x(t)),a=C(t,`inputs`).map(e=>{let t=r.get(String(e.name))?.id??null;return(e.link??null)===t?e:{...e,link:t}});for(let[e,t]of r){let r=a.findIndex(t=>t.name===e);n.set(t,r<0?a.length:r),r<0&&a.push({name:e,type:t.type,link:t.id})}let o=C(t,`outputs`).map((e,t)=>{let n=i.filter(e=>e.output===t).map(e=>e.id),r=y(e.links)?e.links:[];return r.length===n.length&&r.every(e=>n.includes(Number(e)))?e:{...e,links:n}}),s=(e,n)=>{let r=C(t,e);return r.length===n.length&&r.every((e,t)=>e===n[t])};return s(`inputs`,a)&&s(`outputs`,o)?t:{...t,inputs:a,outputs:o}}var ct=e=>Number.isSafeInteger(Number(e))?Number(e):0,lt=e=>Math.max(ct(e.root.last_node_id),v(e.root.state)?ct(e.root.state.lastNodeId):0,...e.nodes.map(e=>ct(e.id))),ut=e=>Math.max(ct(e.root.last_link_id),v(e.root.state)?ct(e.root.state.lastLinkId):0,...e.links.map(e=>e.id)),dt={INT:`int`,FLOAT:`float`,STRING:`text`,BOOLEAN:`toggle`,COMBO:`combo`},ft=new Set([`seed`,`noise_seed`]),pt=e=>({name:e,type:`STRING`,widget:`text`,choices:[],options:{multiline:!0},optional:!0}),mt=[{type:`Note`,title:`Note`,category:`utils`,description:`Text for people; it never runs.`,inputs:[pt(`text`)],outputs:[],isOutput:!1,isVirtual:!0},{type:`MarkdownNote`,title:`Markdown note`,category:`utils`,description:`Text for people; it never runs.`,inputs:[pt(`text`)],outputs:[],isOutput:!1,isVirtual:!0},{type:`Reroute`,title:`Reroute`,category:`utils`,description:`Passes a link on, to tidy a graph.`,inputs:[{name:``,type:`*`,widget:null,choices:[],options:{},optional:!1}],outputs:[{name:``,type:`*`,isList:!1}],isOutput:!1,isVirtual:!0}];function ht(e){let t=new Map(mt.map(e=>[e.type,e]));for(let[n,r]of Object.entries(v(e)?e:{}))v(r)&&t.set(n,gt(n,r));return t}function gt(e,t){let n=v(t.input)?t.input:{},r=v(t.input_order)?t.input_order:{},i=[`required`,`optional`].flatMap(e=>{let t=v(n[e])?n[e]:{};return(y(r[e])?r[e].map(String):Object.keys(t)).filter(e=>e in t).map(n=>_t(n,t[n]??null,e===`optional`))}),a=y(t.output_name)?t.output_name:[],o=y(t.output_is_list)?t.output_is_list:[],s=(y(t.output)?t.output:[]).map((e,t)=>({type:y(e)?`COMBO`:String(e),name:String(a[t]??e),isList:o[t]===!0}));return{type:e,title:typeof t.display_name==`string`&&t.display_name?t.display_name:e,category:String(t.category??``),description:String(t.description??``),inputs:i,outputs:s,isOutput:t.output_node===!0}}function _t(e,t,n){let[r,i]=y(t)?t:[t],a=v(i)?i:{},o=y(r)?r:y(a.options)?a.options:[],s=y(r)?`COMBO`:String(r);return{name:e,type:s,widget:a.forceInput===!0||a.rawLink===!0?null:dt[s]??null,choices:o,options:a,optional:n}}var vt=e=>{let t=e.options.control_after_generate;return t===void 0?e.type===`INT`&&ft.has(e.name):t!==!1&&t!==null},D=e=>e.options.image_upload===!0;function yt(e){let t=e.options.default;return t===void 0?e.widget===`combo`?e.choices[0]??``:e.widget===`int`||e.widget===`float`?e.options.min??0:e.widget!==`toggle`&&``:t}var bt=new WeakMap;function O(e,t){let n=bt.get(e)??new WeakMap;bt.set(e,n);let r=n.get(t)??xt(e.get(t.type),t);return n.set(t,r),r}function xt(e,t){let n=new Set(e?.inputs.map(e=>e.name)),r=C(t,`inputs`).filter(e=>typeof e.name==`string`&&!n.has(e.name)).filter(t=>!e||t.link!==null).map(e=>({name:String(e.name),type:St(e.type),widget:null,choices:[],options:{},optional:!0}));if(e)return r.length?{...e,inputs:[...e.inputs,...r]}:e;let i=C(t,`outputs`).map(e=>({name:String(e.name??``),type:St(e.type),isList:!1}));return{type:t.type,title:t.type,category:``,description:``,inputs:r,outputs:i,isOutput:!1,isUnknown:!0}}var St=e=>y(e)?`COMBO`:e==null||e===0?`*`:String(e),k=(e,t)=>({ok:!1,code:e,reason:t});function Ct(e,t){let n=e.toUpperCase().split(`,`).map(e=>e.trim()),r=t.toUpperCase().split(`,`).map(e=>e.trim());return n.includes(`*`)||r.includes(`*`)||n.some(e=>r.includes(e))}function wt(e,t,n,r=0){let i=T(e,n.node);if(!i)return`*`;let a=O(t,i).outputs[n.output]?.type??`*`;if(a!==`*`||r>100)return a;let o=i.type===`Reroute`?[...E(e,n.node).values()][0]:void 0;return o?wt(e,t,{node:o.from,output:o.output},r+1):`*`}function A(e,t,n,r){let i=T(e,n.node),a=T(e,r.node);if(!i||!a)return k(`no_node`,`One of the two nodes is gone.`);let o=O(t,i).outputs[n.output],s=O(t,a).inputs.find(e=>e.name===r.input);if(!o)return k(`no_output`,`${i.type} has no output ${n.output}.`);if(!s)return k(`no_input`,`${a.type} has no input “${r.input}”.`);if(n.node===r.node)return k(`same_node`,`A node cannot feed itself.`);let c=wt(e,t,n);if(!Ct(c,s.type))return k(`type_mismatch`,`“${s.name}” takes ${s.type}; this output gives ${c}.`);let l=E(e,r.node).get(r.input);return l?.from===n.node&&l.output===n.output?k(`already_linked`,`These two are linked already.`):Tt(e,r.node,n.node)?k(`dependency_cycle`,`This would make a loop: ${a.type} already leads to ${i.type}.`):{ok:!0}}function Tt(e,t,n){let r=new Set([t]),i=[t];for(let t=i.pop();t!==void 0;t=i.pop()){if(t===n)return!0;for(let n of nt(e,t))r.has(n.to)||(r.add(n.to),i.push(n.to))}return!1}function Et(e,t,n,r){let i=T(e,r),a=E(e,r),o=(i?O(t,i).inputs:[]).filter(i=>A(e,t,n,{node:r,input:i.name}).ok).sort((e,t)=>Dt(e.widget!==null,a.has(e.name))-Dt(t.widget!==null,a.has(t.name)));return o[0]?{node:r,input:o[0].name}:null}var Dt=(e,t)=>+!!t+(e?2:0);function Ot(e,t,n,r){let i=T(e,r),a=(i?O(t,i).outputs:[]).findIndex((i,a)=>A(e,t,{node:r,output:a},n).ok);return a<0?null:{node:r,output:a}}var kt=e=>e.widget===`text`&&e.options.multiline===!0;function At(e,t,n){let[r,i]=Ke(t),a=Math.max(220,Math.round(r));if(t.type===`Reroute`)return Nt(e);if(Je(t))return Mt(e,a);let o=e.inputs.filter(e=>e.widget===null),s=e.inputs.filter(e=>e.widget!==null),c=Math.max(o.length,e.outputs.length),l=[],u=32+(c?4:0);for(let t=0;t<c;t++,u+=24)l.push({kind:`sockets`,y:u,input:o[t]??null,output:t<e.outputs.length?t:null});u+=4;let d=s.reduce((e,t)=>e+jt(t)*28,0),f=u+d+(n?168:0)+8,p=Math.max(0,Math.round(i)-f),ee=s.filter(kt).length,te=!n&&ee?Math.floor(p/ee):0;for(let e of s){let t=kt(e)?84+te:28;l.push({kind:`widget`,y:u,height:t,input:e}),u+=t,vt(e)&&(l.push({kind:`control`,y:u,height:28,input:e}),u+=28),D(e)&&(l.push({kind:`upload`,y:u,height:28,input:e}),u+=28)}let m=n?160+p:0,ne=e.isUnknown?u+56:0,re=Math.max(u+(n?m+8:0)+8,40,ne),ie=new Map,ae=[];for(let e of l)e.kind===`sockets`?(e.input&&ie.set(e.input.name,e.y+12),e.output!==null&&(ae[e.output]=e.y+12)):e.kind===`widget`&&ie.set(e.input.name,e.y+14);return{width:a,height:re,rows:l,picture:{y:u,height:m},inputs:ie,outputs:ae}}var jt=e=>(kt(e)?3:1)+ +!!vt(e)+ +!!D(e);function Mt(e,t){return{width:Math.min(t,240),height:32,rows:[],picture:{y:0,height:0},inputs:new Map(e.inputs.map(e=>[e.name,16])),outputs:e.outputs.map(()=>16)}}function Nt(e){return{width:56,height:28,rows:[],picture:{y:0,height:0},inputs:new Map(e.inputs.map(e=>[e.name,14])),outputs:e.outputs.map(()=>14)}}function Pt(e,t,n){let[r,i]=n,a=()=>e.some(({pos:e,size:n})=>r<e[0]+n[0]+20&&e[0]<r+t[0]+20&&i<e[1]+n[1]+20&&e[1]<i+t[1]+20);for(let e=0;e<200&&a();e++)i+=40,e%10==9&&(r+=60,i=n[1]);return[r,i]}var Ft=[`fixed`,`increment`,`decrement`,`randomize`],It=new Set([...Ft,`increment-wrap`]),j=e=>`${e}:control`;function Lt(e){return e.inputs.flatMap(e=>e.widget===null?[]:[e.name,...vt(e)?[j(e.name)]:[],...D(e)?[`upload`]:[]])}function Rt(e,t){let n={},r=t.widgets_values,i=y(r)?r:[],a=0;for(let t of e.inputs){if(t.widget===null)continue;let e=v(r)?r[t.name]:i[a++];if(n[t.name]=e===void 0||e===null&&t.widget!==`text`?yt(t):e,vt(t)){let e=v(r)?r[j(t.name)]:i[a],o=typeof e==`boolean`||It.has(e??``);o&&!v(r)&&a++,n[j(t.name)]=e===!0?`randomize`:o&&e!==!1?e??`fixed`:`fixed`}D(t)&&!v(r)&&i[a]===`image`&&a++}return n}function zt(e,t,n,r){let i=t.widgets_values;if(v(i))return{...t,widgets_values:{...i,[n]:r}};let a={...Rt(e,t),upload:`image`,[n]:r},o=Lt(e),s=y(i)?i:[];return{...t,widgets_values:[...o.map(e=>a[e]??null),...s.slice(o.length)]}}var Bt=e=>{let t={upload:`image`};for(let n of e.inputs)t[n.name]=yt(n),t[j(n.name)]=`randomize`;return Lt(e).map(e=>t[e]??null)};function Vt(e,t,n,r,i=Math.random){let a=BigInt(Ut(n,0n)),o=BigInt(Ut(r,2n**53n-1n)),s=BigInt(Ut(e,a)),c=o-a+1n;return Ht(({increment:()=>s<o?s+1n:o,"increment-wrap":()=>s<o?s+1n:a,decrement:()=>s>a?s-1n:a,randomize:()=>{let e=c<2n**53n?c:2n**53n;return a+(BigInt(Math.floor(i()*2**32))*2n**21n+BigInt(Math.floor(i()*2**21)))%e}}[String(t)]??(()=>s))())}var Ht=e=>e>=-(2n**53n)&&e<=2n**53n?Number(e):e;function Ut(e,t){return typeof e==`bigint`?e:typeof e==`number`&&Number.isFinite(e)?BigInt(Math.trunc(e)):t}var Wt={add:(e,{nodes:t,links:n,groups:r})=>({...e,nodes:[...e.nodes,...t],links:[...e.links,...n],groups:[...e.groups,...r??[]]}),remove:(e,{nodes:t})=>{let n=new Set(t);return qt({...e,nodes:e.nodes.filter(e=>!n.has(x(e))),links:e.links.filter(e=>!n.has(e.from)&&!n.has(e.to))},e)},move:(e,{to:t})=>Kt(e,Object.keys(t),e=>({...e,pos:[...t[x(e)]??S(e)]})),resize:(e,{node:t,size:n,pos:r})=>Kt(e,[t],e=>({...e,pos:[...r],size:[...n]})),value:(e,{node:t,name:n,value:r},i)=>Kt(e,[t],e=>zt(O(i,e),e,n,r)),patch:(e,{nodes:t,fields:n})=>Kt(e,t,e=>({...e,...n})),flag:(e,{nodes:t,flag:n,on:r})=>Kt(e,t,e=>({...e,flags:{...v(e.flags)?e.flags:{},[n]:r}})),link:(e,{from:t,to:n},r)=>{let i=e.links.filter(e=>e.to!==n.node||e.input!==n.input),a=wt(e,r,t),o={id:ut(e)+1,from:t.node,output:t.output,to:n.node,input:n.input,type:a};return qt(Jt({...e,links:[...i,o]},r,t.node,n.node),e)},unlink:(e,{links:t})=>{let n=new Set(t);return qt({...e,links:e.links.filter(e=>!n.has(e.id))},e)},group:(e,{place:t,group:n})=>({...e,groups:n===null?e.groups.filter((e,n)=>n!==t):e.groups.map((e,r)=>r===t?n:e)}),all:(e,{changes:t},n)=>t.reduce((e,t)=>Gt(e,t,n),e)};function Gt(e,t,n){return Wt[t.kind](e,t,n)}function Kt(e,t,n){let r=new Set(t.filter(t=>Ze(e).has(t)));return r.size===0?e:{...e,nodes:e.nodes.map(e=>r.has(x(e))?n(e):e)}}function qt(e,t){let n={lastNodeId:lt(t),lastLinkId:Math.max(ut(t),ut(e))},r=e.root.version===1?{...e.root,state:{...v(e.root.state)?e.root.state:{},...n}}:{...e.root,last_node_id:n.lastNodeId,last_link_id:n.lastLinkId};return{...e,root:r}}function Jt(e,t,n,r){return Kt(e,[n,r],e=>{let n=O(t,e),r=Array.isArray(e.inputs)&&e.inputs.length>0?e.inputs:Yt(n),i=Array.isArray(e.outputs)&&e.outputs.length>0?e.outputs:Xt(n);return r===e.inputs&&i===e.outputs?e:{...e,inputs:r,outputs:i}})}var Yt=e=>e.inputs.map(e=>({name:e.name,type:e.type,link:null,...e.widget?{widget:{name:e.name}}:{}})),Xt=e=>e.outputs.map(e=>({name:e.name,type:e.type,links:[]}));function Zt(e,t,n,r,i=0){return{id:lt(e)+1+i,type:t.type,pos:[...n],size:[...r],flags:{},order:e.nodes.length,mode:0,inputs:Yt(t),outputs:Xt(t),properties:{"Node name for S&R":t.type},widgets_values:Bt(t)}}function Qt(e,t){let n=new Set(t);return{nodes:e.nodes.filter(e=>n.has(x(e))),links:e.links.filter(e=>n.has(e.to))}}function $t(e,t,n,r){let i=new Map,a=lt(e);for(let e of t.nodes)i.set(x(e),++a);let o=t.nodes.map(e=>{let[t,r]=S(e);return{...e,id:i.get(x(e))??0,pos:[t+n[0],r+n[1]]}}),s=ut(e);return{change:{kind:`add`,nodes:o,links:t.links.flatMap(t=>{let n=i.get(t.to),a=i.get(t.from),o=r&&T(e,t.from)?t.from:void 0,c=a===void 0?o:String(a);return n===void 0||c===void 0?[]:[{id:++s,from:c,output:t.output,to:String(n),input:t.input,type:t.type}]})},keys:o.map(x)}}var en=200,tn=1e3,M=m()(ee(()=>({doc:b}),{limit:en,equality:(e,t)=>e.doc===t.doc})),N=m(()=>({definitions:ht({}),isLoaded:!1})),nn=null;function P(e,t){let n=M.getState().doc,r=Gt(n,e,N.getState().definitions);if(r===n)return;let i=Date.now(),a=t!==void 0&&nn?.gesture===t&&i-nn.at<tn;nn=t===void 0?null:{gesture:t,at:i},a?rn(r):M.setState({doc:r})}function rn(e){let t=M.temporal.getState();t.pause(),M.setState({doc:e}),t.resume()}var an=()=>{nn=null},on=()=>{an(),M.temporal.getState().undo()},sn=()=>{an(),M.temporal.getState().redo()},F=()=>M.getState().doc,I=()=>N.getState().definitions,L=m(()=>({nodes:{},jobs:{},running:null,remaining:0,online:!1,problem:null,turn:0})),cn={},ln=(e,t,n)=>e.nodes[t]?.[n]??cn;function R(e,t,n){L.setState(r=>({nodes:{...r.nodes,[e]:{...r.nodes[e],[t]:{...ln(r,e,t),...n}}}}))}function un(e,t=!1){L.setState(n=>({problem:t?n.problem:null,nodes:{...n.nodes,[e]:Object.fromEntries(Object.entries(n.nodes[e]??{}).map(([e,n])=>{let{images:r,texts:i,preview:a,errors:o}=n;return[e,{images:r,texts:i,preview:a,...t?{errors:o}:{}}]}))}}))}function dn(e){for(let[t,n]of Object.entries(L.getState().nodes[e]??{}))n.preview&&(URL.revokeObjectURL(n.preview),R(e,t,{preview:void 0}))}var fn=e=>`./view?${new URLSearchParams({filename:String(e.filename??``),subfolder:String(e.subfolder??``),type:String(e.type??`output`)}).toString()}`;function pn(e){let t=v(e)?e:{},n=y(t.images)?t.images.filter(v).map(fn):void 0,r=y(t.text)?t.text.map(String):void 0;return{...n?{images:n}:{},...r?{texts:r}:{}}}function mn(e){let t={};for(let[n,r]of Object.entries(v(e)?e:{}))t[n]=(v(r)&&y(r.errors)?r.errors.filter(v):[]).map(e=>{let t=v(e.extra_info)?e.extra_info:{};return{message:String(e.message??e.type??`refused`),details:String(e.details??``),input:typeof t.input_name==`string`?t.input_name:null,choices:y(t.allowed)?t.allowed.map(String):[]}});return t}var hn=`easel.theme`,gn=()=>{try{let e=localStorage.getItem(hn);return e===`dark`||e===`light`?e:`system`}catch{return`system`}},z=m(()=>({selected:new Set,selectedLinks:new Set,pending:null,palette:null,panel:null,theme:typeof localStorage>`u`?`system`:gn(),toasts:[],lightbox:null,help:!1,minimap:!0,snap:!1,count:1,renaming:null,fit:0,locate:null})),B=e=>z.setState({selected:new Set(e)}),V=e=>z.setState({palette:e}),_n=e=>z.setState(t=>({panel:t.panel===e?null:e})),vn=e=>z.setState(t=>({selected:new Set([e]),locate:{node:e,turn:(t.locate?.turn??0)+1}}));function yn(e){z.setState({theme:e}),document.documentElement.dataset.theme=e;try{localStorage.setItem(hn,e)}catch{}}var bn=7e3,xn=0;function H(e,t=`info`){let n=++xn;z.setState(({toasts:r})=>({toasts:[...r.filter(t=>t.text!==e).slice(-3),{id:n,text:e,tone:t}]})),setTimeout(()=>Sn(n),bn)}var Sn=e=>z.setState(({toasts:t})=>({toasts:t.filter(t=>t.id!==e)})),U=m(()=>({tabs:[],active:``})),Cn=`easel.drafts`,wn=400,Tn=()=>Array.from(crypto.getRandomValues(new Uint8Array(8)),e=>e.toString(16).padStart(2,`0`)).join(``);function En(){let{tabs:e,active:t}=U.getState(),{pastStates:n,futureStates:r}=M.temporal.getState();return e.map(e=>e.id===t?{...e,doc:M.getState().doc,past:n,future:r}:e)}function Dn(e,t){let n=e.find(e=>e.id===t)??e[0];if(!n)return;U.setState({tabs:e,active:n.id});let r=M.temporal.getState();r.pause(),M.setState({doc:n.doc}),r.resume(),M.temporal.setState({pastStates:[...n.past],futureStates:[...n.future]}),z.setState(e=>({selected:new Set,fit:e.fit+1}))}function On(e,t,n=!0){let r=Tn(),i={id:r,name:e,doc:t,saved:n?t:b,past:[],future:[]};return Dn([...En(),i],r),r}var kn=e=>{e!==U.getState().active&&Dn(En(),e)};function An(e){let t=En(),n=t.findIndex(t=>t.id===e),r=t.filter(t=>t.id!==e);r.length===0?(U.setState({tabs:[],active:``}),On(`Untitled`,b)):e===U.getState().active?Dn(r,r[Math.max(0,n-1)]?.id??``):U.setState({tabs:r})}var jn=(e,t)=>U.setState(({tabs:n})=>({tabs:n.map(n=>n.id===e?{...n,name:t}:n)})),Mn=()=>U.setState(({tabs:e,active:t})=>({tabs:e.map(e=>e.id===t?{...e,saved:M.getState().doc}:e)})),Nn=()=>U.getState().tabs.find(e=>e.id===U.getState().active);function Pn(){let e=En().map(({id:e,name:t,doc:n,saved:r})=>({id:e,name:t,clean:n===r,file:ot(n)}));try{localStorage.setItem(Cn,Ue({active:U.getState().active,tabs:e}))}catch{}}function Fn(){try{let e=He(localStorage.getItem(Cn)??`null`),t=(e?.tabs??[]).map(({id:e,name:t,clean:n,file:r})=>{let i=it(r);return{id:e,name:t,doc:i,saved:n?i:b,past:[],future:[]}});return t.length!==0&&(Dn(t,e?.active??``),!0)}catch{return!1}}function In(){let e,t=()=>{clearTimeout(e),e=setTimeout(Pn,wn)};M.subscribe(t),U.subscribe(t),t(),addEventListener(`pagehide`,Pn)}var Ln=(e,t)=>({node:e,output:Number(t.slice(4))}),Rn=(e,t)=>({node:e,input:t.slice(3)});function zn(e){return!e.source||!e.target||!e.sourceHandle||!e.targetHandle?null:{from:Ln(e.source,e.sourceHandle),to:Rn(e.target,e.targetHandle)}}function Bn(e){let t=zn(e);return t!==null&&A(F(),I(),t.from,t.to).ok}function Vn(e){e&&A(F(),I(),e.from,e.to).ok&&P({kind:`link`,...e})}function Hn(e){let[t,n]=[e.fromHandle,e.toHandle];if(!t?.id||!n?.id)return;if(t.type===n.type){H([`An output goes to an input, not to another output.`,`An input takes an output, not another input.`][t.type===`source`?0:1]??``,`error`);return}let[r,i]=t.type===`source`?[t,n]:[n,t],a=A(F(),I(),Ln(r.nodeId,r.id??``),Rn(i.nodeId,i.id??``));a.ok||H(a.reason,`error`)}function Un(e,t){let n=`from`in e?{from:e.from,to:Et(F(),I(),e.from,t)}:{from:Ot(F(),I(),e.to,t),to:e.to};if(n.from&&n.to){P({kind:`link`,from:n.from,to:n.to});return}let r=T(F(),t);r&&t!==(`from`in e?e.from.node:e.to.node)&&H(`${w(r,O(I(),r).title)} has no ${`from`in e?`input that takes this output`:`output that this input takes`}.`,`error`)}var Wn=class extends Error{status;body;constructor(e,t,n){super(t),this.status=e,this.body=n}};async function Gn(e,t){let n=await fetch(`./${e}`,t),r=await n.text(),i=(n.headers.get(`Content-Type`)??``).includes(`json`)&&r?He(r):r;if(!n.ok){let t=v(i)&&v(i.error)?i.error:{};throw new Wn(n.status,String(t.message??`${e}: the server answered ${n.status}`),i)}return i}var Kn=(e,t)=>Gn(e,{method:`POST`,body:Ue(t)}),qn=()=>Gn(`object_info`),Jn=(e,t,n)=>Kn(`prompt`,{prompt:e,client_id:t,front:n,extra_data:{extra_pnginfo:{workflow:e}}}),Yn=()=>Kn(`interrupt`,{}),Xn=e=>Kn(`queue`,{delete:e}),Zn=()=>Kn(`queue`,{clear:!0}),Qn=e=>Kn(`history`,{delete:e}),$n=e=>{if(!y(e))return null;let t=v(e[3])&&v(e[3].extra_pnginfo)?e[3].extra_pnginfo:{};return{number:Number(e[0]),id:String(e[1]),workflow:t.workflow??e[2]??null}};async function er(){let e=await Gn(`queue`),t=e=>(y(e)?e:[]).map($n).filter(e=>e!==null),n=v(e)?e:{};return{running:t(n.queue_running),pending:t(n.queue_pending)}}async function tr(e=100){let t=await Gn(`history?max_items=${e}`);return Object.entries(v(t)?t:{}).flatMap(([e,t])=>{if(!v(t))return[];let n=$n(t.prompt??null),r=v(t.status)?t.status:{},i=(y(r.messages)?r.messages.filter(y):[]).find(([e])=>e===`execution_error`)?.[1];return[{id:e,number:n?.number??0,workflow:n?.workflow??null,status:String(r.status_str??``),outputs:v(t.outputs)?t.outputs:{},message:v(i)?String(i.exception_message??``):null}]}).reverse()}async function nr(e){let t=new FormData;t.append(`image`,e,e.name||`pasted.png`);let n=await Gn(`upload/image`,{method:`POST`,body:t}),r=v(n)?n:{};return r.subfolder?`${String(r.subfolder)}/${String(r.name)}`:String(r.name)}function rr(e,t,n){let r=new Me.graphlib.Graph;r.setGraph({rankdir:`LR`,nodesep:32,ranksep:72}),r.setDefaultEdgeLabel(()=>({}));let i=e.nodes.filter(e=>!n||n.has(x(e)));for(let e of i){let n=O(t,e),{width:i,height:a}=At(n,e,n.isOutput);r.setNode(x(e),{width:i,height:a})}for(let t of e.links)r.hasNode(t.from)&&r.hasNode(t.to)&&r.setEdge(t.from,t.to);return Me.layout(r),Object.fromEntries(i.map(e=>{let{x:t,y:n,width:i,height:a}=r.node(x(e));return[x(e),[Math.round(t-i/2),Math.round(n-a/2)]]}))}var ir=e=>Object.entries(v(e)?e:{}).filter(([,e])=>y(e)).map(([e])=>({name:e,type:`*`,link:null}));function ar(e,t){let n=Object.entries(e).flatMap(([e,n])=>{if(!v(n))return[];let r=String(n.class_type),i=v(n._meta)&&typeof n._meta.title==`string`?{title:n._meta.title}:{},a=Number(e),o=Number.isSafeInteger(a)&&String(a)===e?a:e,s=t.get(r);return s?[{...Zt(b,s,[0,0],[270,0]),...i,id:o}]:[{id:o,type:r,pos:[0,0],size:[270,100],mode:0,flags:{},inputs:ir(n.inputs),...i,properties:{inputs:n.inputs??{}}}]}),r={...b,nodes:n};for(let[n,i]of Object.entries(e)){let e=v(i)&&v(i.inputs)?i.inputs:{};for(let[a,o]of Object.entries(e))y(o)&&o.length===2&&typeof o[0]==`string`&&typeof o[1]==`number`?r=Gt(r,{kind:`link`,from:{node:String(o[0]),output:Number(o[1])},to:{node:n,input:a}},t):t.has(String(v(i)?i.class_type:``))&&(r={...r,nodes:r.nodes.map(e=>x(e)===n?zt(O(t,e),e,a,o):e)})}return Gt(r,{kind:`move`,to:rr(r,t)},t)}var or=[137,80,78,71,13,10,26,10],sr=32*2**20;async function cr(e){let t=new Uint8Array(await e.arrayBuffer());return or.every((e,n)=>t[n]===e)?lr(t):W(t,0,4)===`RIFF`&&W(t,8,12)===`WEBP`?dr(t):{}}var W=(e,t,n)=>String.fromCharCode(...e.subarray(t,n));async function lr(e){let t=new DataView(e.buffer,e.byteOffset,e.byteLength),n={};for(let r=8;r+12<=e.length;){let i=t.getUint32(r),a=W(e,r+4,r+8),o=e.subarray(r+8,Math.min(r+8+i,e.length)),s=o.indexOf(0),c=W(o,0,Math.max(s,0));if(a===`tEXt`&&s>0&&(n[c]??=new TextDecoder(`latin1`).decode(o.subarray(s+1))),a===`zTXt`&&s>0&&(n[c]??=await ur(o.subarray(s+2),`latin1`)),a===`iTXt`&&s>0){let e=o.indexOf(0,s+3),t=o.indexOf(0,e+1)+1,r=o.subarray(t);n[c]??=o[s+1]===1?await ur(r,`utf-8`):new TextDecoder().decode(r)}if(a===`IEND`)break;r+=12+i}return n}async function ur(e,t){let n=new Blob([e.slice()]).stream().pipeThrough(new DecompressionStream(`deflate`)).getReader(),r=new TextDecoder(t),i=``;for(let e=await n.read();!e.done;e=await n.read())if(i+=r.decode(e.value,{stream:!0}),i.length>sr)throw Error(`The text inside this picture is too large to be a workflow.`);return i}function dr(e){let t=new DataView(e.buffer,e.byteOffset,e.byteLength);for(let n=12;n+8<=e.length;){let r=t.getUint32(n+4,!0);if(W(e,n,n+4)===`EXIF`)return fr(e.subarray(n+8,n+8+r));n+=8+r+r%2}return{}}function fr(e){let t=W(e,0,6)===`Exif\0\0`?e.subarray(6):e,n={};if(t.length<8)return n;let r=new DataView(t.buffer,t.byteOffset,t.byteLength),i=W(t,0,2)===`II`,a=r.getUint32(4,i),o=a+2<=t.length?r.getUint16(a,i):0;for(let e=0;e<o;e++){let o=a+2+12*e;if(o+12>t.length)break;if(r.getUint16(o+2,i)!==2)continue;let s=r.getUint32(o+4,i),c=s<=4?o+8:r.getUint32(o+8,i),l=new TextDecoder().decode(t.subarray(c,c+s)).replace(/\0+$/,``),u=l.indexOf(`:`);u>0&&(n[l.slice(0,u)]=l.slice(u+1))}return n}var pr=500,mr=5e3,hr=1,gr=4,_r=(()=>{let e=Array.from(crypto.getRandomValues(new Uint8Array(16)),e=>e.toString(16).padStart(2,`0`)).join(``);try{let t=sessionStorage.getItem(`easel.client`);if(t)return t;sessionStorage.setItem(`easel.client`,e)}catch{}return e})(),G=e=>typeof e==`string`?e:``,K=e=>L.getState().jobs[G(e.prompt_id)]??U.getState().active,vr=()=>L.setState(e=>({turn:e.turn+1})),yr=e=>T(F(),e)?e:(e.split(`:`)[0]??e).split(`.`)[0]??e,br={status:e=>{let t=v(e.status)&&v(e.status.exec_info)?e.status.exec_info:{};L.setState({remaining:Number(t.queue_remaining??0)}),vr()},execution_start:e=>{un(K(e)),L.setState({running:G(e.prompt_id)})},execution_cached:e=>{for(let t of y(e.nodes)?e.nodes:[])R(K(e),yr(String(t)),{state:`cached`})},executing:e=>{e.node===null?(dn(K(e)),L.setState(e=>({running:null,turn:e.turn+1}))):e.prompt_id&&L.setState({running:G(e.prompt_id)})},progress_state:e=>{let t=K(e);for(let n of Object.values(v(e.nodes)?e.nodes:{}))v(n)&&R(t,yr(G(n.display_node_id)||G(n.node_id)),{state:n.state,value:Number(n.value),max:Number(n.max)})},executed:e=>{let t=yr(G(e.display_node)||String(e.node));R(K(e),t,pn(e.output))},execution_success:()=>H(`Finished.`),execution_interrupted:e=>{xr(K(e)),H(`Stopped.`)},execution_error:e=>{let t=yr(String(e.node_id??``)),n=K(e);xr(n);let r=G(e.exception_message).trim()||G(e.exception_type);R(n,t,{state:`error`,errors:[{message:r,details:y(e.traceback)?e.traceback.map(String).join(``):``,input:null,choices:[]}]});let i=T(F(),t),a=i?w(i,I().get(i.type)?.title??i.type):G(e.node_type);L.setState({problem:`${a}: ${r}`}),H(`${a}: ${r}`,`error`)}};function xr(e){for(let[t,n]of Object.entries(L.getState().nodes[e]??{}))(n.state===`running`||n.state===`queued`)&&R(e,t,{state:void 0})}function Sr(e){let t=new DataView(e);if(e.byteLength<8)return;let n=t.getUint32(0);if(n===gr){let n=t.getUint32(4),r=He(new TextDecoder().decode(new Uint8Array(e,8,n)));if(!v(r))return;Cr(K(r),yr(G(r.display_node_id)||G(r.node_id)),new Uint8Array(e,8+n),G(r.image_type))}else if(n===hr){let n=U.getState().active,r=Object.entries(L.getState().nodes[n]??{}).find(([,e])=>e.state===`running`);r&&Cr(n,r[0],new Uint8Array(e,8),t.getUint32(4)===2?`image/png`:`image/jpeg`)}}function Cr(e,t,n,r){let i=L.getState().nodes[e]?.[t]?.preview;R(e,t,{preview:URL.createObjectURL(new Blob([n],{type:r}))}),i&&URL.revokeObjectURL(i)}function wr(e){let t=pr,n=!0,r=[],i=()=>{let e=r;r=[];for(let t of e)if(typeof t!=`string`)Sr(t);else{let e=He(t);v(e)&&br[G(e.type)]?.(v(e.data)?e.data:{})}},a=()=>{let o=new URL(`./ws?clientId=${_r}`,location.href);o.protocol=o.protocol.replace(`http`,`ws`);let s=new WebSocket(o);s.binaryType=`arraybuffer`,s.onopen=()=>{t=pr,s.send(JSON.stringify({type:`feature_flags`,data:{supports_preview_metadata:!0}})),L.setState({online:!0}),e(n),n=!1},s.onmessage=e=>{r.push(e.data)===1&&(document.hidden?setTimeout:requestAnimationFrame)(i)},s.onclose=()=>{L.setState({online:!1,running:null}),setTimeout(a,t),t=Math.min(t*2,mr)}};a()}async function Tr(){for(let e=300;;e=Math.min(e*2,5e3))try{N.setState({definitions:ht(await qn()),isLoaded:!0});return}catch{await new Promise(t=>setTimeout(t,e))}}function Er(e){let t=I(),n=v(e.root.definitions)&&y(e.root.definitions.subgraphs)?e.root.definitions.subgraphs:[],r=new Set(n.filter(v).map(e=>String(e.id))),i=new Set([`PrimitiveNode`]);return[...new Set(e.nodes.map(e=>e.type))].filter(e=>!t.has(e)&&!r.has(e)&&!i.has(e)&&!e.startsWith(`workflow/`))}async function Dr(e=!1){let t=U.getState().active;un(t);for(let n=0;n<z.getState().count;n++)try{let n=await Jn(ot(F()),_r,e),r=v(n)?String(n.prompt_id):``;L.setState(e=>({jobs:{...e.jobs,[r]:t},turn:e.turn+1})),Or(t,v(n)?n.node_errors:void 0),U.getState().active===t&&rn(Ar(F()))}catch(e){kr(t,e);return}}function Or(e,t){let n=mn(t);for(let[t,r]of Object.entries(n))R(e,t.split(`:`)[0]??t,{state:`error`,errors:r});return Object.keys(n)[0]}function kr(e,t){let n=t instanceof Wn?t.message:`The server does not answer. The workflow is kept here; run it again when the server is back.`,r=Or(e,(t instanceof Wn&&v(t.body)?t.body:{}).node_errors);L.setState({problem:n}),H(n,`error`),r&&vn(r.split(`:`)[0]??r)}function Ar(e){let t=I(),n=!1,r=e.nodes.map(e=>{let r=O(t,e);return r.inputs.filter(e=>e.widget===`int`&&vt(e)).reduce((e,t)=>{let i=Rt(r,e),a=i[t.name]??0,o=Vt(a,i[j(t.name)]??`fixed`,t.options.min??0,t.options.max??2**53);return o===a?e:(n=!0,zt(r,e,t.name,o))},e)});return n?{...e,nodes:r}:e}function jr(e,t){try{let n=He(e),r=rt(n)?ar(n,I()):it(n);On(t.replace(/\.[^.]+$/,``)||`Untitled`,r),Mr(r)}catch(e){H(`${t}: ${e instanceof Error?e.message:String(e)}`,`error`)}}function Mr(e){if(!N.getState().isLoaded)return;let t=Er(e);t.length!==0&&(z.setState({panel:`problems`}),H(`${t.length===1?`A node type is`:`${t.length} node types are`} missing here: ${t.join(`, `)}. The graph is kept as it is.`,`error`))}async function Nr(e){if(/\.json$/i.test(e.name)||e.type===`application/json`)return jr(await e.text(),e.name);let t=await cr(e),n=t.workflow??t.prompt;n?jr(n,e.name):H(`${e.name}: there is no workflow inside this file.`,`error`)}function Pr(e,t){let n=URL.createObjectURL(new Blob([t],{type:`application/json`}));Object.assign(document.createElement(`a`),{href:n,download:e}).click(),setTimeout(()=>URL.revokeObjectURL(n),1e4)}function Fr(){Pr(`${Nn()?.name??`workflow`}.json`,Ue(ot(F()),2)),Mn()}var Ir=()=>On(`Untitled`,b);function Lr(e,t){let n=e.trim().replace(`,`,`.`);if(/^[+-]?\d+$/.test(n))return Ht(BigInt(n.replace(`+`,``)));let r=Rr(n);return r===null||!Number.isFinite(r)?null:t===`int`?Math.round(r):r}function Rr(e){let t=e.match(/\d*\.?\d+(?:e[+-]?\d+)?|[-+*/()]|\S/gi)??[],n=0,r=e=>{let i=t[n++];if(i===`-`)return-r(e);if(i===`+`)return r(e);if(i===`(`&&e<50){let r=a(e+1);return t[n++]===`)`?r:NaN}return i===void 0?NaN:Number(i)},i=e=>{let i=r(e);for(;t[n]===`*`||t[n]===`/`;)i=t[n++]===`*`?i*r(e):i/r(e);return i},a=e=>{let r=i(e);for(;t[n]===`+`||t[n]===`-`;)r=t[n++]===`+`?r+i(e):r-i(e);return r},o=a(0);return n===t.length&&!Number.isNaN(o)?o:null}function zr(e,t,n){return typeof e!=`number`&&typeof e!=`bigint`?e:(typeof t==`number`||typeof t==`bigint`)&&e<t?t:(typeof n==`number`||typeof n==`bigint`)&&e>n?n:e}function Br(e,t,n){if(typeof e==`bigint`)return Ht(e+BigInt(Math.round(t*n)));let r=(String(t).split(`.`)[1]??``).length+2;return Number((Number(e)+t*n).toFixed(Math.min(r,12)))}var q=we(),J=(e,t,n)=>P({kind:`value`,node:e,name:t,value:n},`value ${e} ${t}`),Vr=(0,g.memo)(function(e){if(e.isLinked)return(0,q.jsx)(`span`,{className:`field-linked`,children:`from a link`});let t=e.input.widget;return t===`int`||t===`float`?(0,q.jsx)(Hr,{...e}):t===`toggle`?(0,q.jsx)(Wr,{...e}):t===`combo`?(0,q.jsx)(Gr,{...e}):(0,q.jsx)(Ur,{...e})});function Hr({node:e,input:t,value:n,label:r}){let[i,a]=(0,g.useState)(null),o=t.widget===`int`?`int`:`float`,{min:s,max:c}=t.options,l=typeof t.options.step==`number`?t.options.step:o===`int`?1:.1,u=i!==null&&Lr(i,o)===null,d=n=>{a(n.target.value);let r=Lr(n.target.value,o);r!==null&&J(e,t.name,zr(r,s,c))},f=()=>{a(null),an()};return(0,q.jsxs)(`span`,{className:`number nodrag`,children:[(0,q.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>J(e,t.name,zr(Br(n,l,-1),s,c)),children:`−`}),(0,q.jsx)(`input`,{className:`field`,type:`text`,inputMode:`decimal`,role:`spinbutton`,"aria-label":r,"aria-invalid":u,"aria-valuenow":Number(n),"aria-valuetext":String(n),"aria-valuemin":s===void 0?void 0:Number(s),"aria-valuemax":c===void 0?void 0:Number(c),value:i??String(n),onChange:d,onBlur:f,onKeyDown:r=>{let i={ArrowUp:1,ArrowDown:-1,PageUp:10,PageDown:-10}[r.key];r.key===`Enter`&&!r.ctrlKey&&!r.metaKey&&f(),i!==void 0&&(r.preventDefault(),a(null),J(e,t.name,zr(Br(n,l,i),s,c)))},autoComplete:`off`,spellCheck:!1}),(0,q.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>J(e,t.name,zr(Br(n,l,1),s,c)),children:`+`})]})}function Ur({node:e,input:t,value:n,label:r}){let i={className:`field nodrag nowheel`,"aria-label":r,value:String(n??``),onBlur:an,onChange:n=>J(e,t.name,n.target.value)};return t.options.multiline===!0?(0,q.jsx)(`textarea`,{...i,placeholder:String(t.options.placeholder??t.name)}):(0,q.jsx)(`input`,{type:`text`,...i,autoComplete:`off`})}function Wr({node:e,input:t,value:n,label:r}){return(0,q.jsx)(`input`,{type:`checkbox`,className:`toggle nodrag`,role:`switch`,"aria-label":r,"aria-checked":n===!0,checked:n===!0,onChange:n=>J(e,t.name,n.target.checked)})}function Gr({node:e,input:t,value:n,label:r}){let i=t.choices.indexOf(n);return(0,q.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,"aria-invalid":i<0,value:i,onChange:n=>J(e,t.name,t.choices[Number(n.target.value)]??null),children:[i<0&&(0,q.jsx)(`option`,{value:-1,children:`${String(n)} (not here)`}),t.choices.map((e,t)=>(0,q.jsx)(`option`,{value:t,children:String(e)},String(e)))]})}var Kr={fixed:`stays`,increment:`counts up`,decrement:`counts down`,randomize:`is drawn anew`};function qr({node:e,input:t,value:n,label:r}){return(0,q.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,value:String(n),onChange:n=>J(e,j(t.name),n.target.value),children:[Ft.map(e=>(0,q.jsx)(`option`,{value:e,children:Kr[e]},e)),!Ft.includes(n)&&(0,q.jsx)(`option`,{value:String(n),children:String(n)})]})}function Jr({title:e,label:t,done:n}){let r=(0,g.useRef)(null);return(0,g.useEffect)(()=>{r.current?.select()},[]),(0,q.jsx)(`input`,{ref:r,className:`field nodrag`,"aria-label":t,defaultValue:e,onBlur:e=>n(e.target.value),onKeyDown:e=>{e.stopPropagation(),e.key===`Enter`&&e.currentTarget.blur(),e.key===`Escape`&&n(null)}})}var Yr={MODEL:[`var(--hue-1)`,`square`],CONDITIONING:[`var(--hue-2)`,`diamond`],LATENT:[`var(--hue-3)`,`circle`],IMAGE:[`var(--hue-4)`,`rounded`],MASK:[`var(--hue-5)`,`half`],VAE:[`var(--hue-6)`,`triangle`],CLIP:[`var(--hue-7)`,`triangle`],INT:[`var(--hue-8)`,`circle`],FLOAT:[`var(--hue-8)`,`diamond`],STRING:[`var(--hue-8)`,`rounded`],BOOLEAN:[`var(--hue-8)`,`half`],COMBO:[`var(--hue-8)`,`square`],"*":[`var(--hue-0)`,`ring`]};function Y(e){let t=Yr[e];if(t)return t;let n=0;for(let t of e)n=(n*31+t.charCodeAt(0))%997;return[`var(--hue-${n%8+1})`,`ring`]}var Xr=.32,Zr=e=>e.transform[2]<Xr,Qr=(e,t)=>e.isOutput||t.preview!==void 0||t.images!==void 0||t.texts!==void 0||e.inputs.some(D),$r=(0,g.memo)(function({id:e,selected:t}){let n=M(t=>T(t.doc,e)),r=N(e=>e.definitions),i=U(e=>e.active),a=L(t=>ln(t,i,e)),o=ae(Zr);if(!n)return null;let s=O(r,n),c=!r.has(n.type),l=At(s,n,Qr(s,a)),u=[`node`,t?`is-selected`:``,a.state?`is-${a.state}`:``,c?`is-missing`:``,qe(n)===2?`is-muted`:``,qe(n)===4?`is-bypassed`:``,o?`is-far`:``,n.type===`Reroute`?`is-reroute`:``],d=typeof n.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(n.color)?{"--tint":n.color}:{};return(0,q.jsxs)(`div`,{className:u.filter(Boolean).join(` `),style:d,onDrop:t=>ui(t,e,s),children:[!o&&n.type!==`Reroute`&&(0,q.jsx)(ti,{id:e,node:n,title:w(n,s.title),run:a}),o&&(0,q.jsx)(`span`,{className:`far-title`,children:w(n,s.title)}),(0,q.jsx)(ni,{id:e,shape:s,layout:l}),!o&&!Je(n)&&n.type!==`Reroute`&&(0,q.jsx)(ri,{id:e,node:n,shape:s,layout:l,run:a,isMissing:c}),!o&&a.errors&&a.errors.length>0&&(0,q.jsx)(pi,{id:e,run:a,shape:s}),t&&!Je(n)&&n.type!==`Reroute`&&(0,q.jsx)(Ne,{className:`resize`,minWidth:220,minHeight:60})]})}),ei={queued:`waiting`,running:`running`,finished:`done`,cached:`unchanged, taken from the last run`,error:`failed`};function ti({id:e,node:n,title:r,run:i}){let o=z(t=>t.renaming===e),s=Je(n),c=i.state===`running`&&i.max?Math.min(1,(i.value??0)/i.max):0;return(0,q.jsxs)(`header`,{className:`node-header`,children:[(0,q.jsx)(`button`,{type:`button`,className:`icon nodrag`,"aria-label":s?`Expand ${r}`:`Collapse ${r}`,"aria-expanded":!s,onClick:()=>P({kind:`flag`,nodes:[e],flag:`collapsed`,on:!s}),children:s?(0,q.jsx)(t,{size:14}):(0,q.jsx)(p,{size:14})}),o?(0,q.jsx)(Jr,{title:r,label:`Name of the node`,done:t=>{z.setState({renaming:null}),t!==null&&t!==r&&P({kind:`patch`,nodes:[e],fields:{title:t}})}}):(0,q.jsx)(`span`,{className:`node-title`,onDoubleClick:()=>z.setState({renaming:e}),children:r}),Ye(n)&&(0,q.jsx)(a,{size:12,"aria-label":`pinned`}),i.state===`running`?(0,q.jsxs)(`svg`,{className:`ring`,viewBox:`0 0 20 20`,role:`progressbar`,"aria-label":`${r}: progress`,"aria-valuenow":Math.round(c*100),"aria-valuemin":0,"aria-valuemax":100,children:[(0,q.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`}),(0,q.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`,className:`ring-part`,pathLength:100,strokeDasharray:`${c*100} 100`})]}):i.state&&(0,q.jsx)(`span`,{className:`glyph glyph-${i.state}`,role:`img`,"aria-label":ei[i.state],title:ei[i.state]}),i.state===`running`&&i.max!==void 0&&i.max>1&&(0,q.jsx)(`span`,{className:`steps`,children:`${i.value??0}/${i.max}`}),c>0&&(0,q.jsx)(`span`,{className:`bar`,style:{transform:`scaleX(${c})`}})]})}function ni({id:e,shape:t,layout:n}){let r=z(e=>e.pending),i=M(e=>e.doc.links),a=N(e=>e.definitions),o=F(),c=i&&E(o,e),l=(t,n,i)=>{if(!r)return``;let s=`from`in r?r.from:{node:e,output:i},c=`to`in r?r.to:{node:e,input:n};return`from`in r==(t===`out`)?`is-dim`:A(o,a,s,c).ok?`is-fit`:`is-dim`};return(0,q.jsxs)(q.Fragment,{children:[t.inputs.filter(e=>n.inputs.has(e.name)).map(e=>{let[t,r]=Y(e.type),i=c.has(e.name)?`is-linked`:e.widget?`is-quiet`:e.optional?`is-open`:``;return(0,q.jsx)(f,{id:`in:${e.name}`,type:`target`,position:s.Left,className:`socket shape-${r} ${i} ${l(`in`,e.name,0)}`,title:`${e.name}: ${e.type}`,style:{top:n.inputs.get(e.name),"--hue":t}},`in:${e.name}`)}),t.outputs.map((e,t)=>{let[r,i]=Y(e.type);return(0,q.jsx)(f,{id:`out:${t}`,type:`source`,position:s.Right,className:`socket shape-${i} ${l(`out`,``,t)}`,title:`${e.name}: ${e.type}`,style:{top:n.outputs[t],"--hue":r}},`out:${t}`)})]})}function ri({id:e,node:t,shape:n,layout:r,run:i,isMissing:a}){let o=Rt(n,t),s=M(t=>E(t.doc,e)),c=w(t,n.title);return(0,q.jsxs)(q.Fragment,{children:[r.rows.map(t=>t.kind===`sockets`?(0,q.jsx)(ai,{row:t,shape:n},`s${t.y}`):(0,q.jsx)(si,{id:e,row:t,title:c,isLinked:s.has(t.input.name),value:o[t.kind===`control`?j(t.input.name):t.input.name]??null},`${t.kind}:${t.input.name}`)),a&&(0,q.jsx)(`p`,{className:`missing-note`,style:{top:r.picture.y||40},children:ii(t)}),r.picture.height>0&&(0,q.jsx)(di,{run:i,shape:n,values:o,title:c,top:r.picture.y,height:r.picture.height})]})}function ii(e){return e.type===`PrimitiveNode`?y(e.widgets_values)?String(e.widgets_values[0]??``):``:`This type is not installed here. Its values and links are kept.`}function ai({row:e,shape:t}){return(0,q.jsxs)(`div`,{className:`row sockets-row`,style:{top:e.y},children:[(0,q.jsx)(`span`,{title:oi(e.input),children:e.input?.name}),(0,q.jsx)(`span`,{children:e.output===null?``:t.outputs[e.output]?.name})]})}var oi=e=>typeof e?.options.tooltip==`string`?e.options.tooltip:void 0;function si({id:e,row:t,value:n,isLinked:r,title:i}){let{input:a}=t,o={top:t.y,height:t.height};if(t.kind===`upload`)return(0,q.jsx)(`div`,{className:`row`,style:o,children:(0,q.jsx)(li,{id:e,input:a,title:i})});if(t.kind===`control`)return(0,q.jsxs)(`div`,{className:`row`,style:o,children:[(0,q.jsx)(`span`,{className:`row-label`,children:`after a run`}),(0,q.jsx)(qr,{node:e,input:a,value:n,label:`${i}: ${a.name} after a run`})]});let s=a.widget===`text`&&a.options.multiline===!0;return(0,q.jsxs)(`div`,{className:`row ${s?`row-text`:``}`,style:o,title:oi(a),children:[!s&&(0,q.jsx)(`span`,{className:`row-label`,children:a.name}),(0,q.jsx)(Vr,{node:e,input:a,value:n,label:`${i}: ${a.name}`,isLinked:r})]})}async function ci(e,t,n){if(n)try{let r=await nr(n);await Tr(),P({kind:`value`,node:e,name:t.name,value:r})}catch(e){H(e instanceof Error?e.message:String(e),`error`)}}function li({id:e,input:t,title:n}){return(0,q.jsxs)(`label`,{className:`button nodrag upload`,children:[`Choose a picture…`,(0,q.jsx)(`input`,{type:`file`,accept:`image/*`,className:`hidden`,"aria-label":`${n}: choose a picture`,onChange:n=>void ci(e,t,n.target.files?.[0])})]})}function ui(e,t,n){let r=n.inputs.find(D),i=e.dataTransfer.files[0];r&&i?.type.startsWith(`image/`)&&(e.preventDefault(),e.stopPropagation(),ci(t,r,i))}function di({run:e,shape:t,values:n,title:r,top:i,height:a}){let o=t.inputs.find(D),s=o?n[o.name]:void 0,c=o?.choices.includes(s)||String(s).endsWith(`]`),l=s&&c?[`./view?${new URLSearchParams({filename:String(s),type:`input`}).toString()}`]:[],u=e.images??l;return(0,q.jsxs)(`div`,{className:`picture nodrag`,style:{top:i,height:a},children:[e.preview&&(0,q.jsx)(`img`,{src:e.preview,alt:`${r}: how far it is`,decoding:`async`,draggable:!1}),!e.preview&&u.map((e,t)=>(0,q.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":`${r}: picture ${t+1} of ${u.length}, show it large`,onClick:()=>z.setState({lightbox:{urls:u,at:t}}),children:(0,q.jsx)(`img`,{src:e,alt:``,decoding:`async`,draggable:!1})},e)),e.texts?.map(e=>(0,q.jsx)(`pre`,{className:`nowheel`,children:e},e)),!e.preview&&u.length===0&&!e.texts&&(0,q.jsx)(`span`,{className:`faint`,children:`Run to see the result`})]})}var fi=8;function pi({id:e,run:t,shape:n}){return(0,q.jsx)(`div`,{className:`node-errors nodrag nowheel`,children:t.errors?.map(t=>(0,q.jsxs)(`div`,{children:[(0,q.jsxs)(`p`,{children:[t.input&&(0,q.jsxs)(`strong`,{children:[t.input,`: `]}),t.message]}),t.choices.length>0&&n.inputs.some(e=>e.name===t.input)&&(0,q.jsxs)(`p`,{className:`choices`,children:[mi(t.choices,t.message).map(n=>(0,q.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>t.input&&P({kind:`value`,node:e,name:t.input,value:n}),children:n},n)),t.choices.length>fi&&(0,q.jsx)(`span`,{className:`faint`,children:`and ${t.choices.length-fi} more`})]}),t.details.length>80&&t.input===null&&(0,q.jsxs)(`details`,{children:[(0,q.jsx)(`summary`,{children:`Details`}),(0,q.jsx)(`pre`,{children:t.details})]})]},t.input+t.message))})}var mi=(e,t)=>[...e].sort((e,n)=>Number(t.includes(`'${n}'?`))-Number(t.includes(`'${e}'?`))).slice(0,fi);function hi(e,t,n){let r=w(e,t.title),i=E(F(),String(e.id)).size;return[r,r===t.title?``:t.title,`links in: ${i}`,`links out: ${nt(F(),String(e.id)).length}`,qe(e)===2?`muted`:``,qe(e)===4?`bypassed`:``,n.state?ei[n.state]??``:``].filter(Boolean).join(`, `)}var gi=()=>[0,0],_i=e=>{gi=e},vi=()=>gi(),X=14,Z=`group:`,yi={easel:$r,frame:(0,g.memo)(Li)},bi=[10,10],xi={padding:.12,maxZoom:1},Si={hideAttribution:!1},Ci=null,wi=[`Shift`,`Control`,`Meta`],Ti={};function Ei(){return(0,q.jsx)(n,{children:(0,q.jsx)(Di,{})})}function Di(){let e=c(),[t,n]=(0,g.useState)(null),r=Ai(t),i=Pi(),{minimap:a,snap:s,fit:u,locate:f,theme:p}=z(),ee=(0,g.useRef)(null),te=(0,g.useRef)(new Map);(0,g.useEffect)(()=>_i(()=>{let t=ee.current?.getBoundingClientRect()??new DOMRect,{x:n,y:r}=e.screenToFlowPosition({x:t.x+t.width/2-130,y:t.y+t.height/2-100});return[Math.round(n),Math.round(r)]}),[e]),(0,g.useEffect)(()=>{let t=requestAnimationFrame(()=>void e.fitView(xi));return()=>cancelAnimationFrame(t)},[u,e]),(0,g.useEffect)(()=>{let t=f&&e.getNode(f.node);t&&e.setCenter(t.position.x+(t.width??0)/2,t.position.y+(t.height??0)/2,{zoom:Math.max(e.getZoom(),.8),duration:ki()})},[f,e]);let m=(0,g.useCallback)(e=>{let t=new Set(z.getState().selected),r={},i=!1;for(let n of e)if(n.type===`select`&&!n.id.startsWith(Z))i=!0,n.selected?t.add(n.id):t.delete(n.id);else if(n.type===`position`&&n.dragging&&n.position)r[n.id]=[n.position.x,n.position.y];else if(n.type===`dimensions`&&n.resizing===!0&&n.dimensions){let e=T(F(),n.id);e&&P({kind:`resize`,node:n.id,pos:S(e),size:[Math.round(n.dimensions.width),Math.round(n.dimensions.height)]},`resize ${n.id}`)}i&&B(t),Object.keys(r).length&&n(e=>({...e,...r,...zi(r,te.current)}))},[]),re=(0,g.useCallback)((e,t)=>{te.current=t.id.startsWith(Z)?Ri(t.id):new Map},[]),ie=(0,g.useCallback)(()=>{n(e=>(e&&queueMicrotask(()=>Bi(e)),null))},[]),ae=(0,g.useCallback)(e=>{let t=new Set(z.getState().selectedLinks);for(let n of e)n.type===`select`&&(n.selected?t.add(Number(n.id)):t.delete(Number(n.id)));z.setState({selectedLinks:t})},[]),ce=(0,g.useCallback)(e=>Vn(zn(e)),[]),le=(0,g.useCallback)((e,t)=>{let n=zn(t);n&&A(F(),I(),n.from,n.to).ok&&P({kind:`all`,changes:[{kind:`unlink`,links:[Number(e.id)]},{kind:`link`,...n}]})},[]),ue=(0,g.useCallback)((e,t,n,r)=>{r.toHandle?r.isValid||Hn(r):P({kind:`unlink`,links:[Number(t.id)]})},[]),h=(0,g.useRef)(!1),de=(0,g.useCallback)((e,{nodeId:t,handleId:n,handleType:r})=>{t&&n&&z.setState({pending:r===`source`?{from:Ln(t,n)}:{to:Rn(t,n)}})},[]),fe=(0,g.useCallback)((t,n)=>{let{pending:r}=z.getState();if(z.setState({pending:null}),!r||n.isValid||h.current)return;if(n.toHandle)return Hn(n);let i=`changedTouches`in t?t.changedTouches[0]:t,a=(document.elementFromPoint(i?.clientX??0,i?.clientY??0)?.closest(`.react-flow__node`))?.dataset.id;if(a&&!a.startsWith(Z))return Un(r,a);let{x:o,y:s}=e.screenToFlowPosition({x:i?.clientX??0,y:i?.clientY??0});V({kind:`nodes`,at:[Math.round(o),Math.round(s)],pending:r})},[e]),pe=(0,g.useCallback)(t=>{if(!(t.target instanceof Element)||!t.target.classList.contains(`react-flow__pane`))return;let{x:n,y:r}=e.screenToFlowPosition({x:t.clientX,y:t.clientY});V({kind:`nodes`,at:[Math.round(n),Math.round(r)],pending:null})},[e]),me=(0,g.useCallback)(e=>{let t=e.target,n=t.classList.contains(`react-flow__node`)?t.dataset.id:void 0;n&&t.matches(`:focus-visible`)&&!n.startsWith(Z)&&B([n])},[]);return(0,q.jsx)(`div`,{className:`canvas`,ref:ee,onDoubleClick:pe,onFocus:me,onPointerDownCapture:Oi,children:(0,q.jsxs)(oe,{nodes:r,edges:i,nodeTypes:yi,onNodesChange:m,onEdgesChange:ae,onNodeDragStart:re,onNodeDragStop:ie,onSelectionDragStop:ie,onConnect:ce,onConnectStart:de,onConnectEnd:fe,isValidConnection:Bn,onReconnectStart:()=>{h.current=!0},onReconnect:le,onReconnectEnd:(e,t,n,r)=>{ue(e,t,n,r),h.current=!1},colorMode:p,minZoom:.05,maxZoom:4,snapToGrid:s,snapGrid:bi,deleteKeyCode:Ci,multiSelectionKeyCode:wi,selectionMode:d.Partial,edgesFocusable:!1,disableKeyboardA11y:!0,zoomOnDoubleClick:!1,onlyRenderVisibleElements:!0,connectionLineType:se.Bezier,connectionRadius:24,reconnectRadius:12,proOptions:Si,defaultViewport:{x:40,y:60,zoom:.8},"aria-label":`Workflow graph`,children:[(0,q.jsx)(o,{gap:20}),(0,q.jsx)(l,{showInteractive:!1,fitViewOptions:xi,position:`bottom-left`}),a&&(0,q.jsx)(ne,{pannable:!0,zoomable:!0,ariaLabel:`Map of the graph`,position:`bottom-right`})]})})}function Oi(e){e.target instanceof Element&&e.target.classList.contains(`react-flow__pane`)&&Re(document.activeElement)&&document.activeElement.blur()}var ki=()=>matchMedia(`(prefers-reduced-motion: reduce)`).matches?0:160;function Ai(e){let t=M(e=>e.doc),n=N(e=>e.definitions),r=z(e=>e.selected),i=U(e=>e.active),a=L(e=>e.nodes[i]),o=(0,g.useRef)(new Map);return(0,g.useMemo)(()=>{let i=new Map;for(let s of t.nodes){let t=x(s),c=a?.[t]??Ti,l=e?.[t]??S(s),u=r.has(t),d=o.current.get(t),f=d&&d.node===s&&ji(d.run,c)&&d.selected===u&&d.definitions===n&&d.at[0]===l[0]&&d.at[1]===l[1];i.set(t,f?d:{node:s,run:c,selected:u,at:l,definitions:n,made:Mi(s,c,u,l,n)})}return o.current=i,[...t.groups.map((t,n)=>Ii(t,n,e)),...[...i.values()].map(e=>e.made)]},[t.nodes,t.groups,n,r,a,e])}var ji=(e,t)=>e===t||e.state===t.state&&!e.preview==!t.preview&&!e.images==!t.images&&!e.texts==!t.texts;function Mi(e,t,n,r,i){let a=O(i,e),o=At(a,e,Qr(a,t));return{id:x(e),type:`easel`,position:{x:r[0],y:r[1]},data:{},selected:n,width:o.width,height:o.height,draggable:!Ye(e),handles:Ni(o),ariaLabel:hi(e,a,t),...e.type===`Reroute`?{}:{dragHandle:`.node-header, .far-title, .sockets-row, .row-label`}}}var Ni=e=>[...[...e.inputs].map(([e,t])=>({id:`in:${e}`,type:`target`,position:s.Left,x:-7,y:t-X/2,width:X,height:X})),...e.outputs.map((t,n)=>({id:`out:${n}`,type:`source`,position:s.Right,x:e.width-X/2,y:t-X/2,width:X,height:X}))];function Pi(){let e=M(e=>e.doc),t=N(e=>e.definitions),n=z(e=>e.selectedLinks),r=(0,g.useRef)(new Map);return(0,g.useMemo)(()=>{let i=new Map;for(let a of e.links){let[o]=Y(String(a.type??`*`)),s=T(e,a.from),c=T(e,a.to);if(!s||!c||!O(t,s).outputs[a.output]||!O(t,c).inputs.some(e=>e.name===a.input))continue;let l=r.current.get(a.id),u=`out:${a.output}`,d=`in:${a.input}`,f=n.has(a.id),p=l?.source===a.from&&l.target===a.to&&l.sourceHandle===u&&l.targetHandle===d&&l.selected===f;i.set(a.id,p?l:{id:String(a.id),source:a.from,target:a.to,sourceHandle:u,targetHandle:d,selected:f,style:{stroke:o},interactionWidth:14,reconnectable:!0})}return r.current=i,[...i.values()]},[e,t,n])}var Fi=e=>{let[t,n,r,i]=y(e.bounding)?e.bounding.map(Number):[];return[t??0,n??0,r??200,i??100]};function Ii(e,t,n){let[r,i,a,o]=Fi(e),s=`${Z}${t}`,c=n?.[s]??[r,i];return{id:s,type:`frame`,position:{x:c[0],y:c[1]},data:{group:e},width:a,height:o,zIndex:-1,selectable:!1,focusable:!1,dragHandle:`.frame-title`,handles:[]}}function Li({data:e}){let t=e.group,n=typeof t.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(t.color)?t.color:void 0;return(0,q.jsx)(`div`,{className:`frame`,style:{"--frame":n},children:(0,q.jsx)(`span`,{className:`frame-title`,children:String(t.title??`Group`)})})}function Ri(e){let t=F().groups[Number(e.slice(6))];if(!t)return new Map;let[n,r,i,a]=Fi(t),o=F().nodes.map(e=>[x(e),S(e)]).filter(([,[e,t]])=>e>=n&&e<=n+i&&t+16>=r&&t<=r+a);return new Map(o.map(([e,[t,i]])=>[e,[t-n,i-r]]))}function zi(e,t){let n=Object.entries(e).find(([e])=>e.startsWith(Z))?.[1];return n?Object.fromEntries([...t].map(([e,[t,r]])=>[e,[n[0]+t,n[1]+r]])):{}}function Bi(e){let t=Object.entries(e).filter(([e])=>!e.startsWith(Z)).map(([e,[t,n]])=>[e,[Math.round(t),Math.round(n)]]),n=Object.entries(e).filter(([e])=>e.startsWith(Z)).flatMap(([e,[t,n]])=>{let r=Number(e.slice(6)),i=F().groups[r];if(!i)return[];let[,,a,o]=Fi(i);return[{kind:`group`,place:r,group:{...i,bounding:[Math.round(t),Math.round(n),a,o]}}]});P({kind:`all`,changes:[{kind:`move`,to:Object.fromEntries(t)},...n]})}var Q=()=>[...z.getState().selected].filter(e=>T(F(),e)),$=()=>Q().length>0,Vi=()=>Q().length===1,Hi=()=>Q().flatMap(e=>T(F(),e)??[]),Ui=``,Wi=`easel/clip`;function Gi(){let{nodes:e,links:t}=Qt(F(),Q());Ui=Ue({[Wi]:1,nodes:e,links:t}),navigator.clipboard?.writeText(Ui).catch(()=>void 0)}function Ki(e){try{let t=He(e);return v(t)&&t[Wi]===1?t:null}catch{return null}}function qi(e,t){let n=Ki(e);if(!n)return!1;let{change:r,keys:i}=$t(F(),n,[40,40],t);return P(r),B(i),!0}async function Ji(e){!qi(await navigator.clipboard?.readText?.().catch(()=>Ui)||Ui,e)&&!qi(Ui,e)&&H(`There is nothing to paste.`)}function Yi(){let{change:e,keys:t}=$t(F(),Qt(F(),Q()),[40,40],!0);P(e),B(t)}var Xi=()=>$()||z.getState().selectedLinks.size>0;function Zi(){let e=Q();e.length===0?(P({kind:`unlink`,links:[...z.getState().selectedLinks]}),z.setState({selectedLinks:new Set})):(P({kind:`remove`,nodes:e}),B([]),H(`${e.length===1?`A node was`:`${e.length} nodes were`} deleted. Undo brings it back.`))}function Qi(e){let t=Hi().every(t=>qe(t)===e);P({kind:`patch`,nodes:Q(),fields:{mode:t?0:e}})}function $i(){let e=Hi().map(e=>{let t=O(I(),e),{width:n,height:r}=At(t,e,t.isOutput),[i,a]=S(e);return[i,a,i+n,a+r]}),[t,n]=[Math.min(...e.map(e=>e[0]))-20,Math.min(...e.map(e=>e[1]))-60],[r,i]=[Math.max(...e.map(e=>e[2]))+20,Math.max(...e.map(e=>e[3]))+20];P({kind:`add`,nodes:[],links:[],groups:[{title:`Group`,bounding:[t,n,r-t,i-n],color:`#3f789e`,font_size:24,flags:{}}]})}function ea(e,t){let n=Object.fromEntries(Hi().filter(e=>!Ye(e)).map(n=>{let[r,i]=S(n);return[x(n),[r+e,i+t]]}));P({kind:`move`,to:n},`nudge ${Object.keys(n).join()}`)}var ta=10,na=[{id:`edit.undo`,title:`Undo`,keys:[`Mod+Z`],when:()=>M.temporal.getState().pastStates.length>0,perform:on,inText:!0},{id:`edit.redo`,title:`Redo`,keys:[`Mod+Shift+Z`,`Mod+Y`],when:()=>M.temporal.getState().futureStates.length>0,perform:sn,inText:!0},{id:`edit.add`,title:`Add node…`,keys:[`Space`,`Shift+A`],when:_,perform:()=>V({kind:`nodes`,at:null,pending:null})},{id:`edit.connect`,title:`Connect…`,keys:[`C`],when:Vi,perform:()=>V({kind:`connect`,node:Q()[0]??``})},{id:`edit.disconnect`,title:`Remove all links of the selection`,keys:[`Shift+X`],when:$,perform:()=>{let e=F();P({kind:`unlink`,links:Q().flatMap(t=>[...E(e,t).values(),...nt(e,t)].map(e=>e.id))})}},{id:`edit.delete`,title:`Delete`,keys:[`Delete`,`Backspace`],when:Xi,perform:Zi},{id:`edit.copy`,title:`Copy`,keys:[`Mod+C`],when:$,perform:Gi},{id:`edit.cut`,title:`Cut`,keys:[`Mod+X`],when:$,perform:()=>{Gi(),Zi()}},{id:`edit.paste`,title:`Paste`,keys:[`Mod+V`],when:_,perform:()=>Ji(!1)},{id:`edit.pasteLinked`,title:`Paste with incoming links`,keys:[`Mod+Shift+V`],when:_,perform:()=>Ji(!0)},{id:`edit.duplicate`,title:`Duplicate`,keys:[`Mod+D`],when:$,perform:Yi},{id:`edit.selectAll`,title:`Select all`,keys:[`Mod+A`],when:_,perform:()=>B(F().nodes.map(x))},{id:`edit.selectNone`,title:`Select nothing`,keys:[`Escape`],when:$,perform:()=>B([])},{id:`edit.mute`,title:`Mute`,keys:[`Mod+M`],when:$,perform:()=>Qi(2)},{id:`edit.bypass`,title:`Bypass`,keys:[`Mod+B`],when:$,perform:()=>Qi(4)},{id:`edit.collapse`,title:`Collapse or expand`,keys:[`Alt+C`],when:$,perform:()=>P({kind:`flag`,nodes:Q(),flag:`collapsed`,on:!Hi().every(Je)})},{id:`edit.pin`,title:`Pin or unpin`,keys:[`P`],when:$,perform:()=>P({kind:`flag`,nodes:Q(),flag:`pinned`,on:!Hi().every(Ye)})},{id:`edit.rename`,title:`Rename`,keys:[`F2`],when:Vi,perform:()=>z.setState({renaming:Q()[0]??null})},{id:`edit.group`,title:`Group selection`,keys:[`Mod+G`],when:$,perform:$i},{id:`edit.arrange`,title:`Arrange automatically`,keys:[`Shift+L`],when:()=>F().nodes.length>0,perform:()=>{let e=Q().length>1?new Set(Q()):void 0;P({kind:`move`,to:rr(F(),I(),e)}),z.setState(e=>({fit:e.fit+1}))}},...[[`Left`,-10,0],[`Right`,ta,0],[`Up`,0,-10],[`Down`,0,ta]].map(([e,t,n])=>({id:`edit.move${e}`,title:`Move selection ${e.toLowerCase()}`,keys:[`Arrow${e}`],when:$,perform:()=>ea(t,n)}))],ra=`{
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
`;function ia(){let e=Object.assign(document.createElement(`input`),{type:`file`,accept:`.json,.png,.webp,application/json,image/png,image/webp`,multiple:!0});e.onchange=()=>{for(let t of e.files??[])Nr(t)},e.click()}function aa(){let e=Nn();e&&An(e.id)}function oa(e){let{tabs:t,active:n}=U.getState(),r=t[(t.findIndex(e=>e.id===n)+e+t.length)%t.length];r&&kn(r.id)}var sa=[{id:`file.new`,title:`New workflow`,keys:[`Alt+N`],when:_,perform:()=>void Ir()},{id:`file.template`,title:`Start from text to image`,keys:[],when:_,perform:()=>jr(ra,`Text to image.json`)},{id:`file.open`,title:`Open…`,keys:[`Mod+O`],when:_,perform:ia,inText:!0},{id:`file.save`,title:`Save as a file`,keys:[`Mod+S`],when:_,perform:Fr,inText:!0},{id:`file.close`,title:`Close this workflow`,keys:[`Alt+W`],when:_,perform:aa},{id:`file.rename`,title:`Rename this workflow`,keys:[],when:_,perform:()=>z.setState({renaming:`tab`})},{id:`file.nextTab`,title:`Next workflow`,keys:[`Alt+PageDown`],when:_,perform:()=>oa(1),inText:!0},{id:`file.previousTab`,title:`Previous workflow`,keys:[`Alt+PageUp`],when:_,perform:()=>oa(-1),inText:!0}],ca=e=>e.then(()=>void 0,e=>H(e instanceof Error?e.message:String(e),`error`)),la=[{id:`run.queue`,title:`Run`,keys:[`Mod+Enter`],when:_,perform:()=>Dr(),inText:!0},{id:`run.front`,title:`Run before all others`,keys:[`Mod+Shift+Enter`],when:_,perform:()=>Dr(!0),inText:!0},{id:`run.interrupt`,title:`Stop the running job`,keys:[`Mod+Alt+Enter`],when:()=>L.getState().remaining>0,perform:()=>ca(Yn()),inText:!0},{id:`run.clear`,title:`Clear all waiting jobs`,keys:[],when:()=>L.getState().remaining>0,perform:()=>ca(Zn())}],ua=[{id:`view.commands`,title:`All commands…`,keys:[`Mod+K`,`Mod+Shift+P`],when:_,perform:()=>V({kind:`commands`}),inText:!0},{id:`view.find`,title:`Find a node…`,keys:[`Mod+F`],when:_,perform:()=>V({kind:`find`})},{id:`view.fit`,title:`Show the whole graph`,keys:[`.`],when:_,perform:()=>z.setState(e=>({fit:e.fit+1}))},{id:`view.outline`,title:`Outline panel`,keys:[`O`],when:_,perform:()=>_n(`outline`)},{id:`view.queue`,title:`Queue and history panel`,keys:[`Q`],when:_,perform:()=>_n(`queue`)},{id:`view.gallery`,title:`Pictures panel`,keys:[`G`],when:_,perform:()=>_n(`gallery`)},{id:`view.problems`,title:`Problems panel`,keys:[`E`],when:_,perform:()=>_n(`problems`)},{id:`view.minimap`,title:`Show or hide the map`,keys:[`M`],when:_,perform:()=>z.setState(({minimap:e})=>({minimap:!e}))},{id:`view.snap`,title:`Snap to the grid, or not`,keys:[],when:_,perform:()=>z.setState(({snap:e})=>({snap:!e}))},{id:`view.help`,title:`Keyboard shortcuts`,keys:[`?`],when:_,perform:()=>z.setState({help:!0})},...[`system`,`dark`,`light`].map(e=>({id:`view.theme.${e}`,title:`Colours: ${e}`,keys:[],when:_,perform:()=>yn(e)}))],da=[...la,...na,...sa,...ua],fa=new Map;for(let e of da)for(let t of e.keys){if(fa.has(t))throw Error(`${t} means both ${fa.get(t)?.id} and ${e.id}`);fa.set(t,e)}var pa=e=>{let t=da.find(t=>t.id===e);if(!t)throw Error(`there is no command ${e}`);return t};function ma(e){if(e.isComposing||e.defaultPrevented)return null;let{palette:t,lightbox:n,help:r}=z.getState();if(t||n||r)return null;let i=Ie(e),a=fa.get(i);if(!a?.when())return null;if(Re(e.target))return a.inText?a:null;let o=[`Space`,`Enter`].includes(i)||i.startsWith(`Arrow`),s=e.target instanceof Element?e.target:null;return o&&s?.closest(`button, a, input, [role=listbox], [role=menu], [role=tablist], [role=tree]`)?null:a}function ha(e){let{palette:t,lightbox:n,help:r}=z.getState();return!t&&!n&&!r&&fa.get(Ie(e))?.inText===!0}function ga(){let e=e=>{let t=ma(e);t?(e.preventDefault(),t.perform()):ha(e)&&e.preventDefault()};return addEventListener(`keydown`,e),()=>removeEventListener(`keydown`,e)}var _a=[`edit.connect`,`edit.rename`,`edit.collapse`,`edit.mute`,`edit.bypass`,`edit.pin`,`edit.group`,`edit.duplicate`,`edit.copy`,`edit.cut`,`edit.disconnect`,`edit.delete`],va=[`edit.add`,`edit.paste`,`edit.selectAll`,`edit.arrange`,`view.fit`,`edit.undo`,`edit.redo`];function ya({children:e}){let t=z(e=>e.selected.size>0);return(0,q.jsxs)(Oe,{children:[(0,q.jsx)(ye,{className:`stage`,onContextMenu:e=>{let t=e.target instanceof Element?e.target.closest(`.react-flow__node`)?.dataset.id:void 0;!t||t.startsWith(`group:`)?B([]):z.getState().selected.has(t)||B([t])},children:e}),(0,q.jsx)(be,{children:(0,q.jsx)(de,{className:`positioner`,children:(0,q.jsx)(he,{className:`menu`,"aria-label":t?`Selection`:`Canvas`,children:(t?_a:va).map(pa).map(e=>(0,q.jsxs)(me,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,q.jsx)(`span`,{children:e.title}),(0,q.jsx)(`kbd`,{children:e.keys[0]?Le(e.keys[0]):``})]},e.id))})})})]})}function ba(){let e=z(e=>e.lightbox),n=()=>z.setState({lightbox:null}),r=e?.urls??[],i=e?.at??0,a=r[i],o=e=>z.setState({lightbox:{urls:r,at:(i+e+r.length)%r.length}}),s=a?new URLSearchParams(a.split(`?`)[1]).get(`filename`)??``:``,c=async()=>{if(a)try{await Nr(new File([await(await fetch(a)).blob()],s)),n()}catch{H(`${s} cannot be read.`,`error`)}};return(0,q.jsx)(Te,{open:e!==null,onOpenChange:e=>!e&&n(),children:(0,q.jsxs)(ge,{children:[(0,q.jsx)(Ee,{className:`backdrop`}),(0,q.jsxs)(ue,{className:`lightbox`,onKeyDown:e=>{e.key===`ArrowRight`&&o(1),e.key===`ArrowLeft`&&o(-1)},children:[(0,q.jsxs)(`div`,{className:`lightbox-head`,children:[(0,q.jsx)(xe,{className:`lightbox-title`,children:s}),(0,q.jsx)(`span`,{className:`faint`,children:r.length>1?`${i+1} of ${r.length}`:``}),(0,q.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>void c(),children:`Open its workflow`}),(0,q.jsx)(`a`,{className:`button small`,href:a,download:s,children:`Download`}),(0,q.jsx)(Se,{className:`icon-button`,"aria-label":`Close the picture`,children:(0,q.jsx)(h,{size:16})})]}),(0,q.jsxs)(`div`,{className:`lightbox-stage`,children:[r.length>1&&(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Previous picture`,onClick:()=>o(-1),children:(0,q.jsx)(_e,{})}),a&&(0,q.jsx)(`img`,{src:a,alt:s}),r.length>1&&(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Next picture`,onClick:()=>o(1),children:(0,q.jsx)(t,{})})]})]})]})})}function xa(){let e=z(e=>e.help);return(0,q.jsx)(Te,{open:e,onOpenChange:e=>z.setState({help:e}),children:(0,q.jsxs)(ge,{children:[(0,q.jsx)(Ee,{className:`backdrop`}),(0,q.jsxs)(ue,{className:`dialog`,children:[(0,q.jsx)(xe,{children:`Keyboard shortcuts`}),(0,q.jsx)(`p`,{className:`faint`,children:`Everything can be done without a mouse: Tab goes from node to node, C links the chosen one.`}),(0,q.jsx)(`dl`,{className:`shortcuts`,children:da.filter(e=>e.keys.length).map(e=>(0,q.jsxs)(`div`,{children:[(0,q.jsx)(`dt`,{children:e.title}),(0,q.jsx)(`dd`,{children:e.keys.map(e=>(0,q.jsx)(`kbd`,{children:Le(e)},e))})]},e.id))}),(0,q.jsx)(Se,{className:`button`,children:`Close`})]})]})})}function Sa(){let e=z(e=>e.toasts);return(0,q.jsx)(`section`,{className:`toasts`,"aria-live":`polite`,"aria-label":`Messages`,children:e.map(e=>(0,q.jsxs)(`div`,{className:`toast is-${e.tone}`,children:[(0,q.jsx)(`span`,{children:e.text}),(0,q.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":`Dismiss this message`,onClick:()=>Sn(e.id),children:(0,q.jsx)(h,{size:14})})]},e.id))})}var Ca=100,wa=()=>V(null);function Ta(){let e=z(e=>e.palette);return(0,q.jsx)(Te,{open:e!==null,onOpenChange:e=>!e&&wa(),children:(0,q.jsxs)(ge,{children:[(0,q.jsx)(Ee,{className:`backdrop`}),(0,q.jsx)(ue,{className:`palette`,children:e&&(0,q.jsx)(Ea,{palette:e},e.kind)})]})})}function Ea({palette:e}){let[t,n]=(0,g.useState)(null),r=(0,g.useMemo)(()=>Da(e,t,n),[e,t]),[i,a]=(0,g.useState)(``),[o,s]=(0,g.useState)(0),c=(0,g.useId)(),l=(0,g.useRef)(null),u=(0,g.useRef)(null),d=(0,g.useMemo)(()=>new De(r.items,{keys:[{name:`title`,weight:3},{name:`note`,weight:1},{name:`more`,weight:1}],threshold:.35,ignoreLocation:!0}),[r]),f=(i?d.search(i).map(e=>e.item):r.items).slice(0,Ca);(0,g.useEffect)(()=>{a(``),s(0),l.current?.focus()},[t]),(0,g.useEffect)(()=>{u.current?.scrollIntoView({block:`nearest`})},[o]);let p=e=>{e&&e.choose()!==!0&&wa()};return(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(xe,{className:`palette-title`,children:r.label}),(0,q.jsx)(`input`,{ref:l,className:`palette-field`,type:`text`,role:`combobox`,"aria-label":r.label,"aria-expanded":`true`,"aria-controls":c,autoComplete:`off`,spellCheck:!1,"aria-activedescendant":f[o]?`${c}-${o}`:void 0,value:i,onKeyDown:e=>{let t={ArrowDown:1,ArrowUp:-1,PageDown:8,PageUp:-8}[e.key];e.key===`Enter`&&!e.nativeEvent.isComposing?(e.preventDefault(),p(f[o])):t&&(e.preventDefault(),s(Math.max(0,Math.min(f.length-1,o+t))))},placeholder:`Type to search`,onChange:e=>{a(e.target.value),s(0)}}),(0,q.jsx)(`div`,{id:c,role:`listbox`,"aria-label":r.label,className:`palette-list`,children:f.map((e,t)=>(0,q.jsxs)(`div`,{id:`${c}-${t}`,ref:t===o?u:null,role:`option`,"aria-selected":t===o,tabIndex:-1,onClick:()=>p(e),onMouseMove:()=>s(t),children:[e.hue&&(0,q.jsx)(`span`,{className:`dot`,style:{background:e.hue}}),(0,q.jsx)(`span`,{className:`palette-name`,children:e.title}),(0,q.jsx)(`span`,{className:`palette-note`,children:e.note})]},e.id))}),f.length===0&&(0,q.jsx)(`p`,{className:`palette-none`,children:r.none})]})}function Da(e,t,n){switch(e.kind){case`commands`:return{label:`Commands`,none:`No command is called that.`,items:da.filter(e=>e.when()&&e.id!==`view.commands`).map(e=>({id:e.id,title:e.title,note:e.keys.map(Le).join(`  `),more:e.id,choose:()=>(wa(),e.perform(),!0)}))};case`nodes`:return{label:e.pending?`Add a node that fits`:`Add a node`,none:`No node is called that.`,items:Oa(e.at,e.pending)};case`find`:return{label:`Find a node in this workflow`,none:`No node of this workflow is called that.`,items:F().nodes.map(e=>{let t=O(I(),e);return{id:x(e),title:w(e,t.title),note:`${e.type} · ${x(e)}`,more:``,choose:()=>vn(x(e))}})};case`connect`:return t?{label:`To`,none:`Nothing in this workflow fits. Add a node for it first.`,items:Na(t)}:{label:`Connect`,none:`This node has no sockets.`,items:Ma(e.node,n)}}}function Oa(e,t){let n=F(),r=I(),i=t&&`from`in t?wt(n,r,t.from):null,a=t&&`to`in t?T(n,t.to.node):void 0,o=a&&t&&`to`in t?O(r,a).inputs.find(e=>e.name===t.to.input)?.type:void 0,s=e=>i===null?o===void 0||e.outputs.some(e=>Ct(e.type,o)):e.inputs.some(e=>Ct(i,e.type)),c=e=>i!==null&&e.inputs.some(e=>e.type===i&&!e.widget)?0:1;return[...r.values()].filter(s).sort((e,t)=>c(e)-c(t)||e.title.localeCompare(t.title)).map(n=>({id:n.type,title:n.title,note:n.category,more:`${n.type} ${n.outputs.map(e=>e.type).join(` `)} ${n.description}`,hue:n.outputs[0]?Y(n.outputs[0].type)[0]:`var(--faint)`,choose:()=>ka(n,e,t)}))}function ka(e,t,n){let r=F(),i=I(),a=Zt(r,e,[0,0],[270,0]),{width:o,height:s}=At(e,a,e.isOutput),c=r.nodes.map(e=>{let t=O(i,e),n=At(t,e,t.isOutput);return{pos:S(e),size:[n.width,n.height]}}),l={...a,pos:[...t??Pt(c,[o,s],vi())],size:[o,s]},u={kind:`add`,nodes:[l],links:[]},d=Gt(r,u,i),f=x(l),p=n&&(`from`in n?n.from:Ot(d,i,n.to,f)),ee=n&&(`to`in n?n.to:Et(d,i,n.from,f));P(p&&ee?{kind:`all`,changes:[u,{kind:`link`,from:p,to:ee}]}:u),B([f]),ja(f)}var Aa=30;function ja(e,t=Aa){let n=document.querySelector(`.react-flow__node[data-id="${CSS.escape(e)}"]`),r=document.querySelector(`.palette`)!==null;n&&!r&&n.focus(),(!n||r||document.activeElement!==n)&&t>0&&setTimeout(()=>ja(e,t-1),30)}function Ma(e,t){let n=T(F(),e);if(!n)return[];let r=O(I(),n),i=e=>(t(e),!0),a=E(F(),e);return[...r.outputs.map((t,n)=>({id:`out:${n}`,title:`${t.name} →`,note:`output, ${t.type}`,more:``,hue:Y(t.type)[0],choose:()=>i({from:{node:e,output:n}})})),...r.inputs.map(t=>({id:`in:${t.name}`,title:`→ ${t.name||`input`}`,note:`input, ${t.type}${a.has(t.name)?`, linked`:``}`,more:``,hue:Y(t.type)[0],choose:()=>i({to:{node:e,input:t.name}})}))]}function Na(e){let t=F(),n=I(),r=(e,t,n)=>()=>{P({kind:`link`,from:e,to:t}),H(`Linked: ${n}.`)},i=[];for(let a of t.nodes){let o=x(a),s=O(n,a),c=w(a,s.title);if(`from`in e)for(let l of s.inputs){let s={node:o,input:l.name};if(!A(t,n,e.from,s).ok)continue;let u=E(t,o).has(l.name);i.push({id:`${o} ${l.name}`,title:`${c}: ${l.name}`,note:`${u?`replaces a link · `:``}${o}`,more:a.type,hue:Y(l.type)[0],choose:r(e.from,s,`${c}, ${l.name}`)})}else s.outputs.forEach((s,l)=>{let u={node:o,output:l};A(t,n,u,e.to).ok&&i.push({id:`${o} ${l}`,title:`${c}: ${s.name}`,note:o,more:a.type,hue:Y(s.type)[0],choose:r(u,e.to,`${c}, ${s.name}`)})})}return i}var Pa={outline:[`Outline`,()=>(0,q.jsx)(Ia,{})],queue:[`Queue and history`,()=>(0,q.jsx)(Ba,{})],gallery:[`Pictures`,()=>(0,q.jsx)(Ga,{})],problems:[`Problems`,()=>(0,q.jsx)(Ka,{})]};function Fa(){let e=z(e=>e.panel);if(!e)return null;let[t,n]=Pa[e];return(0,q.jsxs)(`aside`,{className:`side`,"aria-label":t,children:[(0,q.jsxs)(`div`,{className:`side-head`,children:[(0,q.jsx)(`h2`,{children:t}),(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Close ${t}`,onClick:()=>z.setState({panel:null}),children:(0,q.jsx)(h,{size:16})})]}),(0,q.jsx)(`div`,{className:`side-body`,children:n()})]})}function Ia(){let e=M(e=>e.doc),t=N(e=>e.definitions),n=z(e=>e.selected),r=U(e=>e.active),i=L(e=>e.nodes[r]);if(e.nodes.length===0)return(0,q.jsx)(`p`,{className:`faint`,children:`This workflow is empty.`});let a=e=>e?w(e,O(t,e).title):`?`;return(0,q.jsx)(`ol`,{className:`outline`,children:La(e.nodes,t=>[...E(e,t).values()].map(e=>e.from)).map(r=>{let o=x(r),s=[...E(e,o).values()];return(0,q.jsxs)(`li`,{children:[(0,q.jsxs)(`button`,{type:`button`,"aria-pressed":n.has(o),onClick:()=>vn(o),children:[a(r),` `,(0,q.jsx)(`span`,{className:`faint`,children:o}),(0,q.jsx)(`span`,{className:`hidden`,children:hi(r,O(t,r),i?.[o]??{})})]}),s.length>0&&(0,q.jsx)(`ul`,{"aria-label":`Links into ${a(r)}`,children:s.map(t=>(0,q.jsx)(`li`,{children:`${t.input||`input`} ← ${a(T(e,t.from))}`},t.id))})]},o)})})}function La(e,t){let n=new Map(e.map(e=>[x(e),e])),r=new Set,i=[];for(let e of n.keys()){let a=[[e,!1]];for(let e=a.pop();e;e=a.pop()){let[o,s]=e,c=n.get(o);s&&c?i.push(c):r.has(o)||(r.add(o),a.push([o,!0],...t(o).map(e=>[e,!1])))}}return i}var Ra=e=>H(e instanceof Error?e.message:String(e),`error`);function za(){let e=L(e=>e.turn),[t,n]=(0,g.useState)([]);return(0,g.useEffect)(()=>{let e=!1,t=setTimeout(()=>void tr().then(t=>!e&&n(t),()=>void 0),120);return()=>{e=!0,clearTimeout(t)}},[e]),t}function Ba(){let e=L(e=>e.turn),[t,n]=(0,g.useState)({running:[],pending:[]}),r=za();(0,g.useEffect)(()=>{let e=!1;return er().then(t=>!e&&n(t),()=>void 0),()=>{e=!0}},[e]);let i=e=>void e.then(()=>L.setState(e=>({turn:e.turn+1})),Ra);return(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`Running and waiting`}),t.running.length+t.pending.length===0&&(0,q.jsx)(`p`,{className:`faint`,children:`Nothing is running.`}),(0,q.jsxs)(`ul`,{className:`jobs`,children:[t.running.map(e=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`span`,{className:`glyph glyph-running`}),` `,(0,q.jsx)(Ha,{job:e}),` `,(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Stop ${Va(e)}`,onClick:()=>i(Yn()),children:`Stop`})]},e.id)),t.pending.map(e=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`span`,{className:`glyph glyph-queued`}),` `,(0,q.jsx)(Ha,{job:e}),` `,(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Remove ${Va(e)}`,onClick:()=>i(Xn([e.id])),children:`Remove`})]},e.id))]}),(0,q.jsx)(`h3`,{children:`Ended`}),(0,q.jsx)(`ul`,{className:`jobs`,children:r.map(e=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`span`,{className:`glyph glyph-${e.status===`success`?`finished`:`error`}`,role:`img`,"aria-label":e.status===`success`?`done`:`failed or stopped`}),(0,q.jsx)(Wa,{job:e}),(0,q.jsxs)(`span`,{className:`job-words`,children:[(0,q.jsx)(Ha,{job:e}),e.message&&(0,q.jsx)(`span`,{className:`bad`,children:e.message})]}),(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Open the workflow of ${Va(e)}`,onClick:()=>jr(Ue(e.workflow),`Job ${e.number}.json`),children:`Open`}),(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Delete ${Va(e)}`,onClick:()=>i(Qn([e.id])),children:`Delete`})]},e.id))})]})}var Va=e=>`job ${e.number}`,Ha=({job:e})=>(0,q.jsx)(`span`,{className:`job-name`,title:e.id,children:Va(e)}),Ua=e=>Object.values(e.outputs).flatMap(e=>pn(e).images??[]);function Wa({job:e}){let t=Ua(e);return t[0]?(0,q.jsx)(`button`,{type:`button`,className:`thumb small`,"aria-label":`Show the pictures of ${Va(e)}`,onClick:()=>z.setState({lightbox:{urls:t,at:0}}),children:(0,q.jsx)(`img`,{src:`${t[0]}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})}):(0,q.jsx)(`span`,{className:`thumb-empty`})}function Ga(){let e=za().flatMap(Ua).filter(e=>e.includes(`type=output`));return e.length===0?(0,q.jsx)(`p`,{className:`faint`,children:`Pictures that you make are shown here.`}):(0,q.jsx)(`ul`,{className:`gallery`,children:e.map((t,n)=>(0,q.jsx)(`li`,{children:(0,q.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":`Picture ${n+1} of ${e.length}`,onClick:()=>z.setState({lightbox:{urls:e,at:n}}),children:(0,q.jsx)(`img`,{src:`${t}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})})},t))})}function Ka(){let e=M(e=>e.doc),{definitions:t,isLoaded:n}=N(),r=U(e=>e.active),{nodes:i,problem:a}=L(),o=n?Er(e):[],s=n?e.nodes.flatMap(n=>{let r=t.get(n.type);if(!r||r.isVirtual||typeof n.mode==`number`&&[2,4].includes(n.mode))return[];let i=E(e,x(n));return r.inputs.filter(e=>!e.widget&&!e.optional&&!i.has(e.name)).map(e=>[n,e.name])}):[],c=Object.entries(i[r]??{}).flatMap(([e,t])=>(t.errors??[]).map(t=>[e,t])).filter(([t])=>T(e,t)),l=e=>w(e,O(t,e).title),u=o.length+s.length+c.length===0;return(0,q.jsxs)(q.Fragment,{children:[u&&(0,q.jsx)(`p`,{className:`faint`,children:a??`Nothing stands in the way of a run.`}),o.length>0&&(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`Missing node types`}),(0,q.jsx)(`ul`,{className:`problems`,children:o.map(t=>(0,q.jsxs)(`li`,{children:[(0,q.jsx)(`code`,{children:t}),` `,e.nodes.filter(e=>e.type===t).map(e=>(0,q.jsx)(qa,{node:x(e),name:l(e)},x(e)))]},t))})]}),s.length>0&&(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`Inputs without a link`}),(0,q.jsx)(`ul`,{className:`problems`,children:s.map(([e,t])=>(0,q.jsxs)(`li`,{children:[`${l(e)}: ${t}`,` `,(0,q.jsx)(qa,{node:x(e),name:l(e)})]},`${x(e)} ${t}`))})]}),c.length>0&&(0,q.jsxs)(q.Fragment,{children:[(0,q.jsx)(`h3`,{children:`The last run`}),(0,q.jsx)(`ul`,{className:`problems`,children:c.map(([t,n])=>{let r=T(e,t);return(0,q.jsxs)(`li`,{children:[`${r?l(r):t}${n.input?`, ${n.input}`:``}: ${n.message}`,` `,(0,q.jsx)(qa,{node:t,name:r?l(r):t})]},t+n.input+n.message)})})]})]})}var qa=({node:e,name:t})=>(0,q.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Locate ${t} (${e})`,onClick:()=>vn(e),children:`Locate`});function Ja(){return(0,q.jsxs)(`header`,{className:`topbar`,children:[(0,q.jsx)(Xa,{}),(0,q.jsx)(Za,{}),(0,q.jsx)(eo,{}),(0,q.jsxs)(`nav`,{className:`panel-buttons`,"aria-label":`Panels`,children:[(0,q.jsx)(to,{panel:`outline`,name:`Outline`,icon:(0,q.jsx)(te,{size:16})}),(0,q.jsx)(to,{panel:`queue`,name:`Queue and history`,icon:(0,q.jsx)(r,{size:16})}),(0,q.jsx)(to,{panel:`gallery`,name:`Pictures`,icon:(0,q.jsx)(ve,{size:16})}),(0,q.jsx)(to,{panel:`problems`,name:`Problems`,icon:(0,q.jsx)(je,{size:16})})]})]})}var Ya=[[`File`,[`file.new`,`file.template`,`file.open`,`file.save`,`file.rename`,`file.close`]],[`Edit`,[`edit.undo`,`edit.redo`,`edit.add`,`edit.group`,`edit.arrange`]],[`View`,[`view.commands`,`view.find`,`view.fit`,`view.minimap`,`view.snap`,`view.theme.system`,`view.theme.dark`,`view.theme.light`,`view.help`]]];function Xa(){return(0,q.jsxs)(pe,{children:[(0,q.jsxs)(fe,{className:`icon-button brand`,"aria-label":`Easel menu`,children:[(0,q.jsx)(i,{size:16}),(0,q.jsx)(`span`,{children:`Easel`})]}),(0,q.jsx)(be,{children:(0,q.jsx)(Ce,{className:`positioner`,sideOffset:6,align:`start`,children:(0,q.jsx)(he,{className:`menu`,children:Ya.map(([e,t])=>(0,q.jsxs)(ke,{children:[(0,q.jsx)(le,{className:`menu-label`,children:e}),t.map(pa).map(e=>(0,q.jsxs)(me,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,q.jsx)(`span`,{children:e.title}),(0,q.jsx)(`kbd`,{children:e.keys[0]?Le(e.keys[0]):``})]},e.id))]},e))})})})]})}function Za(){let{tabs:e,active:t}=U();return(0,q.jsxs)(`div`,{className:`tabs`,children:[(0,q.jsx)(`ul`,{"aria-label":`Open workflows`,children:e.map(e=>(0,q.jsx)(Qa,{tab:e,isActive:e.id===t},e.id))}),(0,q.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`New workflow`,onClick:()=>Ir(),children:(0,q.jsx)(Ae,{size:16})})]})}function Qa({tab:e,isActive:t}){let n=M(n=>(t?n.doc:e.doc)!==e.saved),r=z(e=>e.renaming===`tab`)&&t;return(0,q.jsxs)(`li`,{className:t?`tab is-active`:`tab`,children:[r?(0,q.jsx)(Jr,{title:e.name,label:`Name of the workflow`,done:t=>{z.setState({renaming:null}),t&&jn(e.id,t)}}):(0,q.jsxs)(`button`,{type:`button`,"aria-current":t?`page`:void 0,onClick:()=>kn(e.id),onDoubleClick:()=>z.setState({renaming:`tab`}),children:[e.name,n&&(0,q.jsx)(`span`,{role:`img`,"aria-label":`, not saved`,className:`dirty`})]}),(0,q.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":`Close ${e.name}`,onClick:()=>An(e.id),children:(0,q.jsx)(h,{size:12})})]})}var $a=100;function eo(){let e=z(e=>e.count),{remaining:t,online:n}=L(),r=e=>()=>void pa(e).perform();return(0,q.jsxs)(`div`,{className:`run`,children:[(0,q.jsxs)(`button`,{type:`button`,className:`button primary`,onClick:r(`run.queue`),disabled:!n,title:`Run (${Le(`Mod+Enter`)})`,children:[(0,q.jsx)(ie,{size:14}),` Run`]}),(0,q.jsx)(`input`,{type:`number`,className:`field count`,"aria-label":`How many times`,min:1,max:$a,value:e,onChange:e=>z.setState({count:Math.max(1,Math.min($a,Math.round(Number(e.target.value))||1))})}),(0,q.jsxs)(`button`,{type:`button`,className:`button`,onClick:r(`run.interrupt`),disabled:t===0,title:`Stop (${Le(`Mod+Alt+Enter`)})`,children:[(0,q.jsx)(re,{size:12}),` Stop`]})]})}function to({panel:e,name:t,icon:n}){let r=z(t=>t.panel===e),i=L(e=>e.remaining),a=da.find(t=>t.id===`view.${e}`)?.keys[0];return(0,q.jsxs)(`button`,{type:`button`,className:`icon-button`,"aria-pressed":r,"aria-label":e===`queue`&&i?`${t}, ${i} waiting`:t,title:a?`${t} (${a})`:t,onClick:()=>_n(e),children:[n,e===`queue`&&i>0&&(0,q.jsx)(`span`,{className:`badge`,"aria-hidden":`true`,children:i})]})}function no(){return(0,g.useEffect)(ga,[]),(0,q.jsxs)(`div`,{className:`app`,onDragOver:e=>e.preventDefault(),onDrop:e=>{if(e.dataTransfer.files.length!==0){e.preventDefault();for(let t of e.dataTransfer.files)Nr(t)}},children:[(0,q.jsx)(Ja,{}),(0,q.jsxs)(`div`,{className:`middle`,children:[(0,q.jsxs)(`main`,{children:[(0,q.jsx)(`h1`,{className:`hidden`,children:`Easel`}),(0,q.jsx)(ya,{children:(0,q.jsx)(Ei,{})}),(0,q.jsx)(ro,{})]}),(0,q.jsx)(Fa,{})]}),(0,q.jsx)(io,{}),(0,q.jsx)(Ta,{}),(0,q.jsx)(ba,{}),(0,q.jsx)(xa,{}),(0,q.jsx)(Sa,{})]})}function ro(){return M(e=>e.doc.nodes.length===0)?(0,q.jsxs)(`div`,{className:`empty`,children:[(0,q.jsx)(`p`,{children:`An empty workflow`}),[`file.template`,`edit.add`,`file.open`].map(pa).map(e=>(0,q.jsx)(`button`,{type:`button`,className:`button`,onClick:()=>void e.perform(),children:e.title},e.id)),(0,q.jsx)(`p`,{className:`faint`,children:`Or drop a workflow, or a picture you made, anywhere here.`})]}):null}function io(){let{online:e,remaining:t,nodes:n}=L(),r=N(e=>e.isLoaded),{tabs:i,active:a}=U(),o=Object.entries(n[a]??{}).find(([,e])=>e.state===`running`),s=M(e=>o?T(e.doc,o[0]):void 0),c=o?.[1].max?Math.round(100*(o[1].value??0)/o[1].max):0,l=i.find(e=>e.id===a)?.name??`Easel`,u=t>0;(0,g.useEffect)(()=>{document.title=u?`[${c}%] ${l} · Easel`:`${l} · Easel`},[u,c,l]);let d=s?w(s,I().get(s.type)?.title??s.type):``,f=e?r?u?d?`${d} ${c}%`:`Running`:`Ready`:`The server is loading its nodes…`:`No connection; trying again. Your work is kept.`;return(0,q.jsxs)(`footer`,{className:`status`,children:[(0,q.jsx)(`span`,{className:`glyph glyph-${e?u?`running`:`finished`:`error`}`}),(0,q.jsx)(`span`,{role:`status`,children:f}),t>1&&(0,q.jsx)(`span`,{className:`faint`,children:`${t-1} more waiting`})]})}var ao=class extends g.Component{state={error:null};static getDerivedStateFromError(e){return{error:e instanceof Error?e.message:String(e)}}render(){return this.state.error===null?this.props.children:(0,q.jsxs)(`main`,{className:`failure`,role:`alert`,children:[(0,q.jsx)(`h1`,{children:`The editor has failed`}),(0,q.jsxs)(`p`,{children:[`What you made is kept in this browser. `,this.state.error]}),(0,q.jsx)(`button`,{type:`button`,className:`button primary`,onClick:()=>location.reload(),children:`Load it again`})]})}};yn(z.getState().theme),Fn()||jr(ra,`Text to image.json`),In(),Tr().then(()=>{Mr(F()),z.setState(e=>({fit:e.fit+1}))}),wr(e=>{e||Tr()}),addEventListener(`paste`,e=>{if(Re(e.target))return;let t=e.clipboardData?.files[0],n=e.clipboardData?.getData(`text`)??``;t?Nr(t):n&&!qi(n,!1)&&n.trimStart().startsWith(`{`)&&jr(n,`Pasted.json`)});var oo=document.getElementById(`root`);oo&&(0,Pe.createRoot)(oo).render((0,q.jsx)(g.StrictMode,{children:(0,q.jsx)(ao,{children:(0,q.jsx)(no,{})})}));