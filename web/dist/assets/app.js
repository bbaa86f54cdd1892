import{n as e}from"./rolldown-runtime.js";import{A as t,B as n,C as r,D as i,E as a,F as o,G as s,H as c,I as l,J as u,K as d,L as f,M as p,N as m,O as ee,P as h,R as te,S as ne,T as re,U as ie,V as ae,W as oe,Y as se,_ as ce,a as le,b as g,c as ue,d as de,f as fe,g as pe,h as me,i as he,j as ge,k as _e,l as ve,m as ye,n as be,o as xe,p as Se,q as Ce,r as we,s as Te,t as Ee,u as De,v as Oe,w as ke,x as Ae,y as je,z as Me}from"./vendor.js";var _=e(se(),1),Ne=u(),v=()=>!0,Pe=typeof navigator<`u`&&/mac/i.test(navigator.platform);function Fe(e){let t=e.key.length===1?e.key.toUpperCase():e.key,n=e.key.length===1&&!/[a-z0-9 ]/i.test(e.key);return[(Pe?e.metaKey:e.ctrlKey)?`Mod`:``,e.altKey?`Alt`:``,e.shiftKey&&!n?`Shift`:``,t===` `?`Space`:t].filter(Boolean).join(`+`)}var Ie=e=>e.replace(`Mod`,Pe?`⌘`:`Ctrl`).replace(`Shift`,Pe?`⇧`:`Shift`).replace(`Alt`,Pe?`⌥`:`Alt`).replaceAll(`+`,Pe?``:`+`);function Le(e){return e instanceof HTMLElement?e.isContentEditable||e instanceof HTMLTextAreaElement||e instanceof HTMLSelectElement||e instanceof HTMLInputElement&&![`checkbox`,`button`,`range`,`radio`].includes(e.type):!1}var Re=/[\s]*([{}[\]:,]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y,ze=/^-?\d+$/,Be=500;function Ve(e){if(!/\d{16}/.test(e))return JSON.parse(e);JSON.parse(e);let t=0,n=()=>{Re.lastIndex=t;let n=Re.exec(e)?.[1];if(n===void 0)throw SyntaxError(`JSON: nothing readable at character ${t}`);return t=Re.lastIndex,n},r=(e,t)=>{if(t>Be)throw SyntaxError(`JSON: nested deeper than ${Be}`);if(e===`[`){let e=[];for(let i=n();i!==`]`;i=n())i!==`,`&&e.push(r(i,t+1));return e}if(e===`{`){let e=[];for(let i=n();i!==`}`;i=n()){if(i===`,`)continue;let a=JSON.parse(i);n(),e.push([a,r(n(),t+1)])}return Object.fromEntries(e)}return ze.test(e)&&!Number.isSafeInteger(Number(e))?BigInt(e):JSON.parse(e)};return r(n(),0)}function He(e,t=0){let n=(e,r)=>{if(typeof e==`bigint`)return e.toString();if(typeof e!=`object`||!e)return JSON.stringify(e??null);let i=r+` `.repeat(t),a=Array.isArray(e)?e.map(e=>n(e,i)):Object.entries(e).filter(([,e])=>e!==void 0).map(([e,r])=>`${JSON.stringify(e)}:${t?` `:``}${n(r,i)}`),[o,s]=Array.isArray(e)?`[]`:`{}`;return a.length===0?`${o}${s}`:t?`${o}\n${i}${a.join(`,\n${i}`)}\n${r}${s}`:`${o}${a.join(`,`)}${s}`};return n(e,``)}var y=e=>typeof e==`object`&&!!e&&!Array.isArray(e),b=e=>Array.isArray(e),Ue=`a workflow file has "nodes" (saved by an editor) or nodes with "class_type" (for programs)`,x={root:{version:.4},nodes:[],links:[],groups:[],dangling:[]},We=(e,t)=>{let[n,r]=b(e)?e:y(e)?[e[0],e[1]]:[];return[typeof n==`number`?n:t[0],typeof r==`number`?r:t[1]]},S=e=>String(e.id),C=e=>We(e.pos,[0,0]),Ge=e=>We(e.size,[0,0]),Ke=e=>typeof e.mode==`number`?e.mode:0,qe=e=>y(e.flags)&&e.flags.collapsed===!0,Je=e=>y(e.flags)&&e.flags.pinned===!0,w=(e,t)=>b(e[t])?e[t].filter(y):[],T=(e,t)=>typeof e.title==`string`&&e.title!==``?e.title:t,Ye=new WeakMap;function Xe(e){let t=Ye.get(e.nodes);return t||(t=new Map(e.nodes.map(e=>[S(e),e])),Ye.set(e.nodes,t)),t}var E=(e,t)=>Xe(e).get(t),Ze=new WeakMap;function Qe(e){let t=Ze.get(e.links);if(!t){let n=new Map,r=new Map;for(let t of e.links){let e=n.get(t.to)??new Map;n.set(t.to,e.set(t.input,t)),r.set(t.from,[...r.get(t.from)??[],t])}t={into:n,outOf:r},Ze.set(e.links,t)}return t}var $e=new Map,et=[],D=(e,t)=>Qe(e).into.get(t)??$e,tt=(e,t)=>Qe(e).outOf.get(t)??et,nt=e=>y(e)&&Object.values(e).length>0&&Object.values(e).every(e=>y(e)&&typeof e.class_type==`string`);function rt(e){if(!y(e)||!b(e.nodes))throw Error(`This is no workflow: ${Ue}.`);let t=e.nodes.map((e,t)=>{if(!y(e)||typeof e.type!=`string`||![`number`,`string`].includes(typeof e.id))throw Error(`nodes[${t}]: a node has an "id" and a "type".`);return e}),n=new Map(t.map(e=>[S(e),e]));if(n.size!==t.length)throw Error(`Two nodes of this workflow have the same id.`);let r=new Map;for(let e of t)for(let t of w(e,`inputs`))typeof t.link==`number`&&typeof t.name==`string`&&r.set(t.link,[S(e),t.name]);let i=[],a=[];for(let t of b(e.links)?e.links:[]){let e=it(t,n,r);e?i.push(e):a.push(t)}return{root:e,nodes:t,links:i,groups:(b(e.groups)?e.groups:[]).filter(y),dangling:a}}function it(e,t,n){let[r,i,a,o,s,c]=b(e)?e:y(e)?[e.id,e.origin_id,e.origin_slot,e.target_id,e.target_slot,e.type]:[];if(typeof r!=`number`)return null;let l=t.get(String(o)),u=n.get(r),d=w(l??{},`inputs`)[Number(s)],f=u&&u[0]===String(o)?u[1]:d?.name;return!t.has(String(i))||!l||typeof f!=`string`||!Number.isInteger(Number(a))?null:{id:r,from:String(i),output:Number(a),to:String(o),input:f,type:c??`*`,raw:e}}function at(e){let t=e.root.version===1,n=new Map,r=e.nodes.map(t=>ot(e,t,n)),i=e.links.map(r=>{let i=n.get(r)??0,a=y(r.raw)?r.raw:{},o=E(e,r.from)?.id??r.from,s=E(e,r.to)?.id??r.to;return t?{...a,id:r.id,origin_id:o,origin_slot:r.output,target_id:s,target_slot:i,type:r.type}:[r.id,o,r.output,s,i,r.type]}),a={lastNodeId:ct(e),lastLinkId:lt(e)},o={...e.root,nodes:r,links:[...i,...e.dangling],groups:e.groups};return t?o.state={...y(e.root.state)?e.root.state:{},...a}:Object.assign(o,{last_node_id:a.lastNodeId,last_link_id:a.lastLinkId}),o.version===void 0&&(o.version=.4),o}function ot(e,t,n){let r=D(e,S(t)),i=tt(e,S(t)),a=w(t,`inputs`).map(e=>{let t=r.get(String(e.name))?.id??null;return(e.link??null)===t?e:{...e,link:t}});for(let[e,t]of r){let r=a.findIndex(t=>t.name===e);n.set(t,r<0?a.length:r),r<0&&a.push({name:e,type:t.type,link:t.id})}let o=w(t,`outputs`).map((e,t)=>{let n=i.filter(e=>e.output===t).map(e=>e.id),r=b(e.links)?e.links:[];return r.length===n.length&&r.every(e=>n.includes(Number(e)))?e:{...e,links:n}}),s=(e,n)=>{let r=w(t,e);return r.length===n.length&&r.every((e,t)=>e===n[t])};return s(`inputs`,a)&&s(`outputs`,o)?t:{...t,inputs:a,outputs:o}}var st=e=>Number.isSafeInteger(Number(e))?Number(e):0,ct=e=>Math.max(st(e.root.last_node_id),y(e.root.state)?st(e.root.state.lastNodeId):0,...e.nodes.map(e=>st(e.id))),lt=e=>Math.max(st(e.root.last_link_id),y(e.root.state)?st(e.root.state.lastLinkId):0,...e.links.map(e=>e.id)),ut={INT:`int`,FLOAT:`float`,STRING:`text`,BOOLEAN:`toggle`,COMBO:`combo`},dt=new Set([`seed`,`noise_seed`]),ft=e=>({name:e,type:`STRING`,widget:`text`,choices:[],options:{multiline:!0},optional:!0}),pt=[{type:`Note`,title:`Note`,category:`utils`,description:`Text for people; it never runs.`,inputs:[ft(`text`)],outputs:[],isOutput:!1,isVirtual:!0},{type:`MarkdownNote`,title:`Markdown note`,category:`utils`,description:`Text for people; it never runs.`,inputs:[ft(`text`)],outputs:[],isOutput:!1,isVirtual:!0},{type:`Reroute`,title:`Reroute`,category:`utils`,description:`Passes a link on, to tidy a graph.`,inputs:[{name:``,type:`*`,widget:null,choices:[],options:{},optional:!1}],outputs:[{name:``,type:`*`,isList:!1}],isOutput:!1,isVirtual:!0}];function mt(e){let t=new Map(pt.map(e=>[e.type,e]));for(let[n,r]of Object.entries(y(e)?e:{}))y(r)&&t.set(n,ht(n,r));return t}function ht(e,t){let n=y(t.input)?t.input:{},r=y(t.input_order)?t.input_order:{},i=[`required`,`optional`].flatMap(e=>{let t=y(n[e])?n[e]:{};return(b(r[e])?r[e].map(String):Object.keys(t)).filter(e=>e in t).map(n=>gt(n,t[n]??null,e===`optional`))}),a=b(t.output_name)?t.output_name:[],o=b(t.output_is_list)?t.output_is_list:[],s=(b(t.output)?t.output:[]).map((e,t)=>({type:b(e)?`COMBO`:String(e),name:String(a[t]??e),isList:o[t]===!0}));return{type:e,title:typeof t.display_name==`string`&&t.display_name?t.display_name:e,category:String(t.category??``),description:String(t.description??``),inputs:i,outputs:s,isOutput:t.output_node===!0}}function gt(e,t,n){let[r,i]=b(t)?t:[t],a=y(i)?i:{},o=b(r)?r:b(a.options)?a.options:[],s=b(r)?`COMBO`:String(r);return{name:e,type:s,widget:a.forceInput===!0||a.rawLink===!0?null:ut[s]??null,choices:o,options:a,optional:n}}var _t=e=>{let t=e.options.control_after_generate;return t===void 0?e.type===`INT`&&dt.has(e.name):t!==!1&&t!==null},O=e=>e.options.image_upload===!0;function vt(e){let t=e.options.default;return t===void 0?e.widget===`combo`?e.choices[0]??``:e.widget===`int`||e.widget===`float`?e.options.min??0:e.widget!==`toggle`&&``:t}var yt=new WeakMap;function k(e,t){let n=yt.get(e)??new WeakMap;yt.set(e,n);let r=n.get(t)??bt(e.get(t.type),t);return n.set(t,r),r}function bt(e,t){let n=new Set(e?.inputs.map(e=>e.name)),r=w(t,`inputs`).filter(e=>typeof e.name==`string`&&!n.has(e.name)).filter(t=>!e||t.link!==null).map(e=>({name:String(e.name),type:xt(e.type),widget:null,choices:[],options:{},optional:!0}));if(e)return r.length?{...e,inputs:[...e.inputs,...r]}:e;let i=w(t,`outputs`).map(e=>({name:String(e.name??``),type:xt(e.type),isList:!1}));return{type:t.type,title:t.type,category:``,description:``,inputs:r,outputs:i,isOutput:!1,isUnknown:!0}}var xt=e=>b(e)?`COMBO`:e==null||e===0?`*`:String(e),A=(e,t)=>({ok:!1,code:e,reason:t});function St(e,t){let n=e.toUpperCase().split(`,`).map(e=>e.trim()),r=t.toUpperCase().split(`,`).map(e=>e.trim());return n.includes(`*`)||r.includes(`*`)||n.some(e=>r.includes(e))}function Ct(e,t,n,r=0){let i=E(e,n.node);if(!i)return`*`;let a=k(t,i).outputs[n.output]?.type??`*`;if(a!==`*`||r>100)return a;let o=i.type===`Reroute`?[...D(e,n.node).values()][0]:void 0;return o?Ct(e,t,{node:o.from,output:o.output},r+1):`*`}function j(e,t,n,r){let i=E(e,n.node),a=E(e,r.node);if(!i||!a)return A(`no_node`,`One of the two nodes is gone.`);let o=k(t,i).outputs[n.output],s=k(t,a).inputs.find(e=>e.name===r.input);if(!o)return A(`no_output`,`${i.type} has no output ${n.output}.`);if(!s)return A(`no_input`,`${a.type} has no input “${r.input}”.`);if(n.node===r.node)return A(`same_node`,`A node cannot feed itself.`);let c=Ct(e,t,n);if(!St(c,s.type))return A(`type_mismatch`,`“${s.name}” takes ${s.type}; this output gives ${c}.`);let l=D(e,r.node).get(r.input);return l?.from===n.node&&l.output===n.output?A(`already_linked`,`These two are linked already.`):wt(e,r.node,n.node)?A(`dependency_cycle`,`This would make a loop: ${a.type} already leads to ${i.type}.`):{ok:!0}}function wt(e,t,n){let r=new Set([t]),i=[t];for(let t=i.pop();t!==void 0;t=i.pop()){if(t===n)return!0;for(let n of tt(e,t))r.has(n.to)||(r.add(n.to),i.push(n.to))}return!1}function Tt(e,t,n,r){let i=E(e,r),a=D(e,r),o=(i?k(t,i).inputs:[]).filter(i=>j(e,t,n,{node:r,input:i.name}).ok).sort((e,t)=>Et(e.widget!==null,a.has(e.name))-Et(t.widget!==null,a.has(t.name)));return o[0]?{node:r,input:o[0].name}:null}var Et=(e,t)=>+!!t+(e?2:0);function Dt(e,t,n,r){let i=E(e,r),a=(i?k(t,i).outputs:[]).findIndex((i,a)=>j(e,t,{node:r,output:a},n).ok);return a<0?null:{node:r,output:a}}var Ot=e=>e.widget===`text`&&e.options.multiline===!0;function kt(e,t,n){let[r,i]=Ge(t),a=Math.max(220,Math.round(r));if(t.type===`Reroute`)return Mt(e);if(qe(t))return jt(e,a);let o=e.inputs.filter(e=>e.widget===null),s=e.inputs.filter(e=>e.widget!==null),c=Math.max(o.length,e.outputs.length),l=[],u=32+(c?4:0);for(let t=0;t<c;t++,u+=24)l.push({kind:`sockets`,y:u,input:o[t]??null,output:t<e.outputs.length?t:null});u+=4;let d=s.reduce((e,t)=>e+At(t)*28,0),f=u+d+(n?168:0)+8,p=Math.max(0,Math.round(i)-f),m=s.filter(Ot).length,ee=!n&&m?Math.floor(p/m):0;for(let e of s){let t=Ot(e)?84+ee:28;l.push({kind:`widget`,y:u,height:t,input:e}),u+=t,_t(e)&&(l.push({kind:`control`,y:u,height:28,input:e}),u+=28),O(e)&&(l.push({kind:`upload`,y:u,height:28,input:e}),u+=28)}let h=n?160+p:0,te=e.isUnknown?u+56:0,ne=Math.max(u+(n?h+8:0)+8,40,te),re=new Map,ie=[];for(let e of l)e.kind===`sockets`?(e.input&&re.set(e.input.name,e.y+12),e.output!==null&&(ie[e.output]=e.y+12)):e.kind===`widget`&&re.set(e.input.name,e.y+14);return{width:a,height:ne,rows:l,picture:{y:u,height:h},inputs:re,outputs:ie}}var At=e=>(Ot(e)?3:1)+ +!!_t(e)+ +!!O(e);function jt(e,t){return{width:Math.min(t,240),height:32,rows:[],picture:{y:0,height:0},inputs:new Map(e.inputs.map(e=>[e.name,16])),outputs:e.outputs.map(()=>16)}}function Mt(e){return{width:56,height:28,rows:[],picture:{y:0,height:0},inputs:new Map(e.inputs.map(e=>[e.name,14])),outputs:e.outputs.map(()=>14)}}function Nt(e,t,n){let[r,i]=n,a=()=>e.some(({pos:e,size:n})=>r<e[0]+n[0]+20&&e[0]<r+t[0]+20&&i<e[1]+n[1]+20&&e[1]<i+t[1]+20);for(let e=0;e<200&&a();e++)i+=40,e%10==9&&(r+=60,i=n[1]);return[r,i]}var Pt=[`fixed`,`increment`,`decrement`,`randomize`],Ft=new Set([...Pt,`increment-wrap`]),M=e=>`${e}:control`;function It(e){return e.inputs.flatMap(e=>e.widget===null?[]:[e.name,..._t(e)?[M(e.name)]:[],...O(e)?[`upload`]:[]])}function Lt(e,t){let n={},r=t.widgets_values,i=b(r)?r:[],a=0;for(let t of e.inputs){if(t.widget===null)continue;let e=y(r)?r[t.name]:i[a++];if(n[t.name]=e===void 0||e===null&&t.widget!==`text`?vt(t):e,_t(t)){let e=y(r)?r[M(t.name)]:i[a],o=typeof e==`boolean`||Ft.has(e??``);o&&!y(r)&&a++,n[M(t.name)]=e===!0?`randomize`:o&&e!==!1?e??`fixed`:`fixed`}O(t)&&!y(r)&&i[a]===`image`&&a++}return n}function Rt(e,t,n,r){let i=t.widgets_values;if(y(i))return{...t,widgets_values:{...i,[n]:r}};let a={...Lt(e,t),upload:`image`,[n]:r},o=It(e),s=b(i)?i:[];return{...t,widgets_values:[...o.map(e=>a[e]??null),...s.slice(o.length)]}}var zt=e=>{let t={upload:`image`};for(let n of e.inputs)t[n.name]=vt(n),t[M(n.name)]=`randomize`;return It(e).map(e=>t[e]??null)};function Bt(e,t,n,r,i=Math.random){let a=BigInt(Ht(n,0n)),o=BigInt(Ht(r,2n**53n-1n)),s=BigInt(Ht(e,a)),c=o-a+1n;return Vt(({increment:()=>s<o?s+1n:o,"increment-wrap":()=>s<o?s+1n:a,decrement:()=>s>a?s-1n:a,randomize:()=>{let e=c<2n**53n?c:2n**53n;return a+(BigInt(Math.floor(i()*2**32))*2n**21n+BigInt(Math.floor(i()*2**21)))%e}}[String(t)]??(()=>s))())}var Vt=e=>e>=-(2n**53n)&&e<=2n**53n?Number(e):e;function Ht(e,t){return typeof e==`bigint`?e:typeof e==`number`&&Number.isFinite(e)?BigInt(Math.trunc(e)):t}var Ut={add:(e,{nodes:t,links:n,groups:r})=>({...e,nodes:[...e.nodes,...t],links:[...e.links,...n],groups:[...e.groups,...r??[]]}),remove:(e,{nodes:t})=>{let n=new Set(t);return Kt({...e,nodes:e.nodes.filter(e=>!n.has(S(e))),links:e.links.filter(e=>!n.has(e.from)&&!n.has(e.to))},e)},move:(e,{to:t})=>Gt(e,Object.keys(t),e=>({...e,pos:[...t[S(e)]??C(e)]})),resize:(e,{node:t,size:n,pos:r})=>Gt(e,[t],e=>({...e,pos:[...r],size:[...n]})),value:(e,{node:t,name:n,value:r},i)=>Gt(e,[t],e=>Rt(k(i,e),e,n,r)),patch:(e,{nodes:t,fields:n})=>Gt(e,t,e=>({...e,...n})),flag:(e,{nodes:t,flag:n,on:r})=>Gt(e,t,e=>({...e,flags:{...y(e.flags)?e.flags:{},[n]:r}})),link:(e,{from:t,to:n},r)=>{let i=e.links.filter(e=>e.to!==n.node||e.input!==n.input),a=Ct(e,r,t),o={id:lt(e)+1,from:t.node,output:t.output,to:n.node,input:n.input,type:a};return Kt(qt({...e,links:[...i,o]},r,t.node,n.node),e)},unlink:(e,{links:t})=>{let n=new Set(t);return Kt({...e,links:e.links.filter(e=>!n.has(e.id))},e)},group:(e,{place:t,group:n})=>({...e,groups:n===null?e.groups.filter((e,n)=>n!==t):e.groups.map((e,r)=>r===t?n:e)}),all:(e,{changes:t},n)=>t.reduce((e,t)=>Wt(e,t,n),e)};function Wt(e,t,n){return Ut[t.kind](e,t,n)}function Gt(e,t,n){let r=new Set(t.filter(t=>Xe(e).has(t)));return r.size===0?e:{...e,nodes:e.nodes.map(e=>r.has(S(e))?n(e):e)}}function Kt(e,t){let n={lastNodeId:ct(t),lastLinkId:Math.max(lt(t),lt(e))},r=e.root.version===1?{...e.root,state:{...y(e.root.state)?e.root.state:{},...n}}:{...e.root,last_node_id:n.lastNodeId,last_link_id:n.lastLinkId};return{...e,root:r}}function qt(e,t,n,r){return Gt(e,[n,r],e=>{let n=k(t,e),r=Array.isArray(e.inputs)&&e.inputs.length>0?e.inputs:Jt(n),i=Array.isArray(e.outputs)&&e.outputs.length>0?e.outputs:Yt(n);return r===e.inputs&&i===e.outputs?e:{...e,inputs:r,outputs:i}})}var Jt=e=>e.inputs.map(e=>({name:e.name,type:e.type,link:null,...e.widget?{widget:{name:e.name}}:{}})),Yt=e=>e.outputs.map(e=>({name:e.name,type:e.type,links:[]}));function Xt(e,t,n,r,i=0){return{id:ct(e)+1+i,type:t.type,pos:[...n],size:[...r],flags:{},order:e.nodes.length,mode:0,inputs:Jt(t),outputs:Yt(t),properties:{"Node name for S&R":t.type},widgets_values:zt(t)}}function Zt(e,t){let n=new Set(t);return{nodes:e.nodes.filter(e=>n.has(S(e))),links:e.links.filter(e=>n.has(e.to))}}function Qt(e,t,n,r){let i=new Map,a=ct(e);for(let e of t.nodes)i.set(S(e),++a);let o=t.nodes.map(e=>{let[t,r]=C(e);return{...e,id:i.get(S(e))??0,pos:[t+n[0],r+n[1]]}}),s=lt(e);return{change:{kind:`add`,nodes:o,links:t.links.flatMap(t=>{let n=i.get(t.to),a=i.get(t.from),o=r&&E(e,t.from)?t.from:void 0,c=a===void 0?o:String(a);return n===void 0||c===void 0?[]:[{id:++s,from:c,output:t.output,to:String(n),input:t.input,type:t.type}]})},keys:o.map(S)}}var $t=200,en=1e3,N=h()(m(()=>({doc:x}),{limit:$t,equality:(e,t)=>e.doc===t.doc})),P=h(()=>({definitions:mt({}),isLoaded:!1})),tn=null;function F(e,t){let n=N.getState().doc,r=Wt(n,e,P.getState().definitions);if(r===n)return;let i=Date.now(),a=t!==void 0&&tn?.gesture===t&&i-tn.at<en;tn=t===void 0?null:{gesture:t,at:i},a?nn(r):N.setState({doc:r})}function nn(e){let t=N.temporal.getState();t.pause(),N.setState({doc:e}),t.resume()}var rn=()=>{tn=null},an=()=>{rn(),N.temporal.getState().undo()},on=()=>{rn(),N.temporal.getState().redo()},I=()=>N.getState().doc,L=()=>P.getState().definitions,sn=`easel.jobs`;function cn(){try{return JSON.parse(sessionStorage.getItem(sn)??`{}`)}catch{return{}}}function ln(e,t){R.setState(n=>({jobs:Object.fromEntries([...Object.entries(n.jobs),[e,t]].slice(-50)),turn:n.turn+1}));try{sessionStorage.setItem(sn,JSON.stringify(R.getState().jobs))}catch{}}var R=h(()=>({nodes:{},jobs:cn(),running:null,remaining:0,online:!1,problem:null,turn:0})),un={},dn=(e,t,n)=>e.nodes[t]?.[n]??un;function z(e,t,n){R.setState(r=>({nodes:{...r.nodes,[e]:{...r.nodes[e],[t]:{...dn(r,e,t),...n}}}}))}function fn(e,t=!1){R.setState(n=>({problem:t?n.problem:null,nodes:{...n.nodes,[e]:Object.fromEntries(Object.entries(n.nodes[e]??{}).map(([e,n])=>{let{images:r,texts:i,preview:a,errors:o}=n;return[e,{images:r,texts:i,preview:a,...t?{errors:o}:{}}]}))}}))}function pn(e){for(let[t,n]of Object.entries(R.getState().nodes[e]??{}))n.preview&&(URL.revokeObjectURL(n.preview),z(e,t,{preview:void 0}))}var mn=e=>`./view?${new URLSearchParams({filename:String(e.filename??``),subfolder:String(e.subfolder??``),type:String(e.type??`output`)}).toString()}`;function hn(e){let t=y(e)?e:{},n=b(t.images)?t.images.filter(y).map(mn):void 0,r=b(t.text)?t.text.map(String):void 0;return{...n?{images:n}:{},...r?{texts:r}:{}}}function gn(e){let t={};for(let[n,r]of Object.entries(y(e)?e:{}))t[n]=(y(r)&&b(r.errors)?r.errors.filter(y):[]).map(e=>{let t=y(e.extra_info)?e.extra_info:{};return{message:String(e.message??e.type??`refused`),details:String(e.details??``),input:typeof t.input_name==`string`?t.input_name:null,choices:b(t.allowed)?t.allowed.map(String):[]}});return t}var _n=`easel.theme`,vn=()=>{try{let e=localStorage.getItem(_n);return e===`dark`||e===`light`?e:`system`}catch{return`system`}},B=h(()=>({selected:new Set,selectedLinks:new Set,pending:null,palette:null,panel:null,theme:typeof localStorage>`u`?`system`:vn(),toasts:[],lightbox:null,help:!1,minimap:!0,snap:!1,count:1,renaming:null,fit:0,locate:null})),V=e=>B.setState({selected:new Set(e)}),H=e=>B.setState({palette:e}),yn=e=>B.setState(t=>({panel:t.panel===e?null:e})),bn=e=>B.setState(t=>({selected:new Set([e]),locate:{node:e,turn:(t.locate?.turn??0)+1}}));function xn(e){B.setState({theme:e}),document.documentElement.dataset.theme=e;try{localStorage.setItem(_n,e)}catch{}}var Sn=7e3,Cn=0;function U(e,t=`info`){let n=++Cn;B.setState(({toasts:r})=>({toasts:[...r.filter(t=>t.text!==e).slice(-3),{id:n,text:e,tone:t}]})),setTimeout(()=>wn(n),Sn)}var wn=e=>B.setState(({toasts:t})=>({toasts:t.filter(t=>t.id!==e)})),W=h(()=>({tabs:[],active:``})),Tn=`easel.drafts`,En=400,Dn=()=>Array.from(crypto.getRandomValues(new Uint8Array(8)),e=>e.toString(16).padStart(2,`0`)).join(``);function On(){let{tabs:e,active:t}=W.getState(),{pastStates:n,futureStates:r}=N.temporal.getState();return e.map(e=>e.id===t?{...e,doc:N.getState().doc,past:n,future:r}:e)}function kn(e,t){let n=e.find(e=>e.id===t)??e[0];if(!n)return;W.setState({tabs:e,active:n.id});let r=N.temporal.getState();r.pause(),N.setState({doc:n.doc}),r.resume(),N.temporal.setState({pastStates:[...n.past],futureStates:[...n.future]}),B.setState(e=>({selected:new Set,fit:e.fit+1}))}function An(e,t,n=!0){let r=Dn(),i={id:r,name:e,doc:t,saved:n?t:x,past:[],future:[]};return kn([...On(),i],r),r}var jn=e=>{e!==W.getState().active&&kn(On(),e)};function Mn(e){let t=On(),n=t.findIndex(t=>t.id===e),r=t.filter(t=>t.id!==e);r.length===0?(W.setState({tabs:[],active:``}),An(`Untitled`,x)):e===W.getState().active?kn(r,r[Math.max(0,n-1)]?.id??``):W.setState({tabs:r})}var Nn=(e,t)=>W.setState(({tabs:n})=>({tabs:n.map(n=>n.id===e?{...n,name:t}:n)})),Pn=()=>W.setState(({tabs:e,active:t})=>({tabs:e.map(e=>e.id===t?{...e,saved:N.getState().doc}:e)})),Fn=()=>W.getState().tabs.find(e=>e.id===W.getState().active);function In(){let e=On().map(({id:e,name:t,doc:n,saved:r})=>({id:e,name:t,clean:n===r,file:at(n)}));try{localStorage.setItem(Tn,He({active:W.getState().active,tabs:e}))}catch{}}function Ln(){try{let e=Ve(localStorage.getItem(Tn)??`null`),t=(e?.tabs??[]).map(({id:e,name:t,clean:n,file:r})=>{let i=rt(r);return{id:e,name:t,doc:i,saved:n?i:x,past:[],future:[]}});return t.length!==0&&(kn(t,e?.active??``),!0)}catch{return!1}}function Rn(){let e,t=()=>{clearTimeout(e),e=setTimeout(In,En)};N.subscribe(t),W.subscribe(t),t(),addEventListener(`pagehide`,In)}var zn=(e,t)=>({node:e,output:Number(t.slice(4))}),Bn=(e,t)=>({node:e,input:t.slice(3)});function Vn(e){return!e.source||!e.target||!e.sourceHandle||!e.targetHandle?null:{from:zn(e.source,e.sourceHandle),to:Bn(e.target,e.targetHandle)}}function Hn(e){let t=Vn(e);return t!==null&&j(I(),L(),t.from,t.to).ok}function Un(e){e&&j(I(),L(),e.from,e.to).ok&&F({kind:`link`,...e})}function Wn(e){let[t,n]=[e.fromHandle,e.toHandle];if(!t?.id||!n?.id)return;if(t.type===n.type){U([`An output goes to an input, not to another output.`,`An input takes an output, not another input.`][t.type===`source`?0:1]??``,`error`);return}let[r,i]=t.type===`source`?[t,n]:[n,t],a=j(I(),L(),zn(r.nodeId,r.id??``),Bn(i.nodeId,i.id??``));a.ok||U(a.reason,`error`)}function Gn(e,t){let n=`from`in e?{from:e.from,to:Tt(I(),L(),e.from,t)}:{from:Dt(I(),L(),e.to,t),to:e.to};if(n.from&&n.to){F({kind:`link`,from:n.from,to:n.to});return}let r=E(I(),t);r&&t!==(`from`in e?e.from.node:e.to.node)&&U(`${T(r,k(L(),r).title)} has no ${`from`in e?`input that takes this output`:`output that this input takes`}.`,`error`)}var Kn=class extends Error{status;body;constructor(e,t,n){super(t),this.status=e,this.body=n}};async function qn(e,t){let n=await fetch(`./${e}`,t),r=await n.text(),i=(n.headers.get(`Content-Type`)??``).includes(`json`)&&r?Ve(r):r;if(!n.ok){let t=y(i)&&y(i.error)?i.error:{};throw new Kn(n.status,String(t.message??`${e}: the server answered ${n.status}`),i)}return i}var Jn=(e,t)=>qn(e,{method:`POST`,body:He(t)}),Yn=()=>qn(`object_info`),Xn=(e,t,n)=>Jn(`prompt`,{prompt:e,client_id:t,front:n,extra_data:{extra_pnginfo:{workflow:e}}}),Zn=()=>Jn(`interrupt`,{}),Qn=e=>Jn(`queue`,{delete:e}),$n=()=>Jn(`queue`,{clear:!0}),er=e=>Jn(`history`,{delete:e}),tr=e=>{if(!b(e))return null;let t=y(e[3])&&y(e[3].extra_pnginfo)?e[3].extra_pnginfo:{};return{number:Number(e[0]),id:String(e[1]),workflow:t.workflow??e[2]??null}};async function nr(){let e=await qn(`queue`),t=e=>(b(e)?e:[]).map(tr).filter(e=>e!==null),n=y(e)?e:{};return{running:t(n.queue_running),pending:t(n.queue_pending)}}async function rr(e=100){let t=await qn(`history?max_items=${e}`);return Object.entries(y(t)?t:{}).flatMap(([e,t])=>{if(!y(t))return[];let n=tr(t.prompt??null),r=y(t.status)?t.status:{},i=(b(r.messages)?r.messages.filter(b):[]).find(([e])=>e===`execution_error`)?.[1];return[{id:e,number:n?.number??0,workflow:n?.workflow??null,status:String(r.status_str??``),outputs:y(t.outputs)?t.outputs:{},message:y(i)?String(i.exception_message??``):null}]}).reverse()}async function ir(e){let t=new FormData;t.append(`image`,e,e.name||`pasted.png`);let n=await qn(`upload/image`,{method:`POST`,body:t}),r=y(n)?n:{};return r.subfolder?`${String(r.subfolder)}/${String(r.name)}`:String(r.name)}function ar(e,t,n){let r=new je.graphlib.Graph;r.setGraph({rankdir:`LR`,nodesep:32,ranksep:72}),r.setDefaultEdgeLabel(()=>({}));let i=e.nodes.filter(e=>!n||n.has(S(e)));for(let e of i){let n=k(t,e),{width:i,height:a}=kt(n,e,n.isOutput);r.setNode(S(e),{width:i,height:a})}for(let t of e.links)r.hasNode(t.from)&&r.hasNode(t.to)&&r.setEdge(t.from,t.to);return je.layout(r),Object.fromEntries(i.map(e=>{let{x:t,y:n,width:i,height:a}=r.node(S(e));return[S(e),[Math.round(t-i/2),Math.round(n-a/2)]]}))}var or=e=>Object.entries(y(e)?e:{}).filter(([,e])=>b(e)).map(([e])=>({name:e,type:`*`,link:null}));function sr(e,t){let n=Object.entries(e).flatMap(([e,n])=>{if(!y(n))return[];let r=String(n.class_type),i=y(n._meta)&&typeof n._meta.title==`string`?{title:n._meta.title}:{},a=Number(e),o=Number.isSafeInteger(a)&&String(a)===e?a:e,s=t.get(r);return s?[{...Xt(x,s,[0,0],[270,0]),...i,id:o}]:[{id:o,type:r,pos:[0,0],size:[270,100],mode:0,flags:{},inputs:or(n.inputs),...i,properties:{inputs:n.inputs??{}}}]}),r={...x,nodes:n};for(let[n,i]of Object.entries(e)){let e=y(i)&&y(i.inputs)?i.inputs:{};for(let[a,o]of Object.entries(e))b(o)&&o.length===2&&typeof o[0]==`string`&&typeof o[1]==`number`?r=Wt(r,{kind:`link`,from:{node:String(o[0]),output:Number(o[1])},to:{node:n,input:a}},t):t.has(String(y(i)?i.class_type:``))&&(r={...r,nodes:r.nodes.map(e=>S(e)===n?Rt(k(t,e),e,a,o):e)})}return Wt(r,{kind:`move`,to:ar(r,t)},t)}var cr=[137,80,78,71,13,10,26,10],lr=32*2**20;async function ur(e){let t=new Uint8Array(await e.arrayBuffer());return cr.every((e,n)=>t[n]===e)?dr(t):G(t,0,4)===`RIFF`&&G(t,8,12)===`WEBP`?pr(t):{}}var G=(e,t,n)=>String.fromCharCode(...e.subarray(t,n));async function dr(e){let t=new DataView(e.buffer,e.byteOffset,e.byteLength),n={};for(let r=8;r+12<=e.length;){let i=t.getUint32(r),a=G(e,r+4,r+8),o=e.subarray(r+8,Math.min(r+8+i,e.length)),s=o.indexOf(0),c=G(o,0,Math.max(s,0));if(a===`tEXt`&&s>0&&(n[c]??=new TextDecoder(`latin1`).decode(o.subarray(s+1))),a===`zTXt`&&s>0&&(n[c]??=await fr(o.subarray(s+2),`latin1`)),a===`iTXt`&&s>0){let e=o.indexOf(0,s+3),t=o.indexOf(0,e+1)+1,r=o.subarray(t);n[c]??=o[s+1]===1?await fr(r,`utf-8`):new TextDecoder().decode(r)}if(a===`IEND`)break;r+=12+i}return n}async function fr(e,t){let n=new Blob([e.slice()]).stream().pipeThrough(new DecompressionStream(`deflate`)).getReader(),r=new TextDecoder(t),i=``;for(let e=await n.read();!e.done;e=await n.read())if(i+=r.decode(e.value,{stream:!0}),i.length>lr)throw Error(`The text inside this picture is too large to be a workflow.`);return i}function pr(e){let t=new DataView(e.buffer,e.byteOffset,e.byteLength);for(let n=12;n+8<=e.length;){let r=t.getUint32(n+4,!0);if(G(e,n,n+4)===`EXIF`)return mr(e.subarray(n+8,n+8+r));n+=8+r+r%2}return{}}function mr(e){let t=G(e,0,6)===`Exif\0\0`?e.subarray(6):e,n={};if(t.length<8)return n;let r=new DataView(t.buffer,t.byteOffset,t.byteLength),i=G(t,0,2)===`II`,a=r.getUint32(4,i),o=a+2<=t.length?r.getUint16(a,i):0;for(let e=0;e<o;e++){let o=a+2+12*e;if(o+12>t.length)break;if(r.getUint16(o+2,i)!==2)continue;let s=r.getUint32(o+4,i),c=s<=4?o+8:r.getUint32(o+8,i),l=new TextDecoder().decode(t.subarray(c,c+s)).replace(/\0+$/,``),u=l.indexOf(`:`);u>0&&(n[l.slice(0,u)]=l.slice(u+1))}return n}var hr=500,gr=5e3,_r=1,vr=4,yr=(()=>{let e=Array.from(crypto.getRandomValues(new Uint8Array(16)),e=>e.toString(16).padStart(2,`0`)).join(``);try{let t=sessionStorage.getItem(`easel.client`);if(t)return t;sessionStorage.setItem(`easel.client`,e)}catch{}return e})(),K=e=>typeof e==`string`?e:``,q=e=>R.getState().jobs[K(e.prompt_id)]??W.getState().active,br=()=>R.setState(e=>({turn:e.turn+1})),xr=e=>E(I(),e)?e:(e.split(`:`)[0]??e).split(`.`)[0]??e,Sr={status:e=>{let t=y(e.status)&&y(e.status.exec_info)?e.status.exec_info:{};R.setState({remaining:Number(t.queue_remaining??0)}),br()},execution_start:e=>{fn(q(e)),R.setState({running:K(e.prompt_id)})},execution_cached:e=>{for(let t of b(e.nodes)?e.nodes:[])z(q(e),xr(String(t)),{state:`cached`})},executing:e=>{e.node===null?(pn(q(e)),R.setState(e=>({running:null,turn:e.turn+1}))):e.prompt_id&&R.setState({running:K(e.prompt_id)})},progress_state:e=>{let t=q(e);for(let n of Object.values(y(e.nodes)?e.nodes:{}))y(n)&&z(t,xr(K(n.display_node_id)||K(n.node_id)),{state:n.state,value:Number(n.value),max:Number(n.max)})},executed:e=>{let t=xr(K(e.display_node)||String(e.node));z(q(e),t,hn(e.output))},execution_success:()=>U(`Finished.`),execution_interrupted:e=>{Cr(q(e)),U(`Stopped.`)},execution_error:e=>{let t=xr(String(e.node_id??``)),n=q(e);Cr(n);let r=K(e.exception_message).trim()||K(e.exception_type);z(n,t,{state:`error`,errors:[{message:r,details:b(e.traceback)?e.traceback.map(String).join(``):``,input:null,choices:[]}]});let i=E(I(),t),a=i?T(i,L().get(i.type)?.title??i.type):K(e.node_type);R.setState({problem:`${a}: ${r}`}),U(`${a}: ${r}`,`error`)}};function Cr(e){for(let[t,n]of Object.entries(R.getState().nodes[e]??{}))(n.state===`running`||n.state===`queued`)&&z(e,t,{state:void 0})}function wr(e){let t=new DataView(e);if(e.byteLength<8)return;let n=t.getUint32(0);if(n===vr){let n=t.getUint32(4),r=Ve(new TextDecoder().decode(new Uint8Array(e,8,n)));if(!y(r))return;Tr(q(r),xr(K(r.display_node_id)||K(r.node_id)),new Uint8Array(e,8+n),K(r.image_type))}else if(n===_r){let n=W.getState().active,r=Object.entries(R.getState().nodes[n]??{}).find(([,e])=>e.state===`running`);r&&Tr(n,r[0],new Uint8Array(e,8),t.getUint32(4)===2?`image/png`:`image/jpeg`)}}function Tr(e,t,n,r){let i=R.getState().nodes[e]?.[t]?.preview;z(e,t,{preview:URL.createObjectURL(new Blob([n],{type:r}))}),i&&URL.revokeObjectURL(i)}function Er(e){let t=hr,n=!0,r=[],i=()=>{let e=r;r=[];for(let t of e)if(typeof t!=`string`)wr(t);else{let e=Ve(t);y(e)&&Sr[K(e.type)]?.(y(e.data)?e.data:{})}},a=()=>{let o=new URL(`./ws?clientId=${yr}`,location.href);o.protocol=o.protocol.replace(`http`,`ws`);let s=new WebSocket(o);s.binaryType=`arraybuffer`,s.onopen=()=>{t=hr,s.send(JSON.stringify({type:`feature_flags`,data:{supports_preview_metadata:!0}})),R.setState({online:!0}),e(n),n=!1},s.onmessage=e=>{r.push(e.data)===1&&(document.hidden?setTimeout:requestAnimationFrame)(i)},s.onclose=()=>{R.setState({online:!1,running:null}),setTimeout(a,t),t=Math.min(t*2,gr)}};a()}async function Dr(){for(let e=300;;e=Math.min(e*2,5e3))try{P.setState({definitions:mt(await Yn()),isLoaded:!0});return}catch{await new Promise(t=>setTimeout(t,e))}}function Or(e){let t=L(),n=y(e.root.definitions)&&b(e.root.definitions.subgraphs)?e.root.definitions.subgraphs:[],r=new Set(n.filter(y).map(e=>String(e.id))),i=new Set([`PrimitiveNode`]);return[...new Set(e.nodes.map(e=>e.type))].filter(e=>!t.has(e)&&!r.has(e)&&!i.has(e)&&!e.startsWith(`workflow/`))}async function kr(e=!1){let t=W.getState().active;fn(t);for(let n=0;n<B.getState().count;n++)try{let n=await Xn(at(I()),yr,e);ln(y(n)?String(n.prompt_id):``,t),Ar(t,y(n)?n.node_errors:void 0),W.getState().active===t&&nn(Mr(I()))}catch(e){jr(t,e);return}}function Ar(e,t){let n=gn(t);for(let[t,r]of Object.entries(n))z(e,t.split(`:`)[0]??t,{state:`error`,errors:r});return Object.keys(n)[0]}function jr(e,t){let n=t instanceof Kn?t.message:`The server does not answer. The workflow is kept here; run it again when the server is back.`,r=Ar(e,(t instanceof Kn&&y(t.body)?t.body:{}).node_errors);R.setState({problem:n}),U(n,`error`),r&&bn(r.split(`:`)[0]??r)}function Mr(e){let t=L(),n=!1,r=e.nodes.map(e=>{let r=k(t,e);return r.inputs.filter(e=>e.widget===`int`&&_t(e)).reduce((e,t)=>{let i=Lt(r,e),a=i[t.name]??0,o=Bt(a,i[M(t.name)]??`fixed`,t.options.min??0,t.options.max??2**53);return o===a?e:(n=!0,Rt(r,e,t.name,o))},e)});return n?{...e,nodes:r}:e}async function Nr(){let{running:e,pending:t}=await nr(),n=new Set([...e,...t].map(e=>e.id)),r=Object.entries(R.getState().jobs),i=new Set(r.filter(([e])=>n.has(e)).map(([,e])=>e));for(let e of new Set(r.map(([,e])=>e)))i.has(e)||fn(e,!0);let a=new Map((await rr()).map(e=>[e.id,e]));for(let[e,t]of r)for(let[n,r]of Object.entries(a.get(e)?.outputs??{}))z(t,n,hn(r))}function Pr(e,t){try{let n=Ve(e),r=nt(n)?sr(n,L()):rt(n);An(t.replace(/\.[^.]+$/,``)||`Untitled`,r),Fr(r)}catch(e){U(`${t}: ${e instanceof Error?e.message:String(e)}`,`error`)}}function Fr(e){if(!P.getState().isLoaded)return;let t=Or(e);t.length!==0&&(B.setState({panel:`problems`}),U(`${t.length===1?`A node type is`:`${t.length} node types are`} missing here: ${t.join(`, `)}. The graph is kept as it is.`,`error`))}async function Ir(e){if(/\.json$/i.test(e.name)||e.type===`application/json`)return Pr(await e.text(),e.name);let t=await ur(e),n=t.workflow??t.prompt;n?Pr(n,e.name):U(`${e.name}: there is no workflow inside this file.`,`error`)}function Lr(e,t){let n=URL.createObjectURL(new Blob([t],{type:`application/json`}));Object.assign(document.createElement(`a`),{href:n,download:e}).click(),setTimeout(()=>URL.revokeObjectURL(n),1e4)}function Rr(){Lr(`${Fn()?.name??`workflow`}.json`,He(at(I()),2)),Pn()}var zr=()=>An(`Untitled`,x);function Br(e,t){let n=e.trim().replace(`,`,`.`);if(/^[+-]?\d+$/.test(n))return Vt(BigInt(n.replace(`+`,``)));let r=Vr(n);return r===null||!Number.isFinite(r)?null:t===`int`?Math.round(r):r}function Vr(e){let t=e.match(/\d*\.?\d+(?:e[+-]?\d+)?|[-+*/()]|\S/gi)??[],n=0,r=e=>{let i=t[n++];if(i===`-`)return-r(e);if(i===`+`)return r(e);if(i===`(`&&e<50){let r=a(e+1);return t[n++]===`)`?r:NaN}return i===void 0?NaN:Number(i)},i=e=>{let i=r(e);for(;t[n]===`*`||t[n]===`/`;)i=t[n++]===`*`?i*r(e):i/r(e);return i},a=e=>{let r=i(e);for(;t[n]===`+`||t[n]===`-`;)r=t[n++]===`+`?r+i(e):r-i(e);return r},o=a(0);return n===t.length&&!Number.isNaN(o)?o:null}function Hr(e,t,n){return typeof e!=`number`&&typeof e!=`bigint`?e:(typeof t==`number`||typeof t==`bigint`)&&e<t?t:(typeof n==`number`||typeof n==`bigint`)&&e>n?n:e}function Ur(e,t,n){if(typeof e==`bigint`)return Vt(e+BigInt(Math.round(t*n)));let r=(String(t).split(`.`)[1]??``).length+2;return Number((Number(e)+t*n).toFixed(Math.min(r,12)))}var J=Ce(),Y=(e,t,n)=>F({kind:`value`,node:e,name:t,value:n},`value ${e} ${t}`),Wr=(0,_.memo)(function(e){if(e.isLinked)return(0,J.jsx)(`span`,{className:`field-linked`,children:`from a link`});let t=e.input.widget;return t===`int`||t===`float`?(0,J.jsx)(Gr,{...e}):t===`toggle`?(0,J.jsx)(qr,{...e}):t===`combo`?(0,J.jsx)(Jr,{...e}):(0,J.jsx)(Kr,{...e})});function Gr({node:e,input:t,value:n,label:r}){let[i,a]=(0,_.useState)(null),o=t.widget===`int`?`int`:`float`,{min:s,max:c}=t.options,l=typeof t.options.step==`number`?t.options.step:o===`int`?1:.1,u=i!==null&&Br(i,o)===null,d=n=>{a(n.target.value);let r=Br(n.target.value,o);r!==null&&Y(e,t.name,Hr(r,s,c))},f=()=>{a(null),rn()};return(0,J.jsxs)(`span`,{className:`number nodrag`,children:[(0,J.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>Y(e,t.name,Hr(Ur(n,l,-1),s,c)),children:`−`}),(0,J.jsx)(`input`,{className:`field`,type:`text`,inputMode:`decimal`,role:`spinbutton`,"aria-label":r,"aria-invalid":u,"aria-valuenow":Number(n),"aria-valuetext":String(n),"aria-valuemin":s===void 0?void 0:Number(s),"aria-valuemax":c===void 0?void 0:Number(c),value:i??String(n),onChange:d,onBlur:f,onKeyDown:r=>{let i={ArrowUp:1,ArrowDown:-1,PageUp:10,PageDown:-10}[r.key];r.key===`Enter`&&!r.ctrlKey&&!r.metaKey&&f(),i!==void 0&&(r.preventDefault(),a(null),Y(e,t.name,Hr(Ur(n,l,i),s,c)))},autoComplete:`off`,spellCheck:!1}),(0,J.jsx)(`button`,{type:`button`,tabIndex:-1,"aria-hidden":`true`,className:`step`,onClick:()=>Y(e,t.name,Hr(Ur(n,l,1),s,c)),children:`+`})]})}function Kr({node:e,input:t,value:n,label:r}){let i={className:`field nodrag nowheel`,"aria-label":r,value:String(n??``),onBlur:rn,onChange:n=>Y(e,t.name,n.target.value)};return t.options.multiline===!0?(0,J.jsx)(`textarea`,{...i,placeholder:String(t.options.placeholder??t.name)}):(0,J.jsx)(`input`,{type:`text`,...i,autoComplete:`off`})}function qr({node:e,input:t,value:n,label:r}){return(0,J.jsx)(`input`,{type:`checkbox`,className:`toggle nodrag`,role:`switch`,"aria-label":r,"aria-checked":n===!0,checked:n===!0,onChange:n=>Y(e,t.name,n.target.checked)})}function Jr({node:e,input:t,value:n,label:r}){let i=t.choices.indexOf(n);return(0,J.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,"aria-invalid":i<0,value:i,onChange:n=>Y(e,t.name,t.choices[Number(n.target.value)]??null),children:[i<0&&(0,J.jsx)(`option`,{value:-1,children:`${String(n)} (not here)`}),t.choices.map((e,t)=>(0,J.jsx)(`option`,{value:t,children:String(e)},String(e)))]})}var Yr={fixed:`stays`,increment:`counts up`,decrement:`counts down`,randomize:`is drawn anew`};function Xr({node:e,input:t,value:n,label:r}){return(0,J.jsxs)(`select`,{className:`field nodrag`,"aria-label":r,value:String(n),onChange:n=>Y(e,M(t.name),n.target.value),children:[Pt.map(e=>(0,J.jsx)(`option`,{value:e,children:Yr[e]},e)),!Pt.includes(n)&&(0,J.jsx)(`option`,{value:String(n),children:String(n)})]})}function Zr({title:e,label:t,done:n}){let r=(0,_.useRef)(null);return(0,_.useEffect)(()=>{r.current?.select()},[]),(0,J.jsx)(`input`,{ref:r,className:`field nodrag`,"aria-label":t,defaultValue:e,onBlur:e=>n(e.target.value),onKeyDown:e=>{e.stopPropagation(),e.key===`Enter`&&e.currentTarget.blur(),e.key===`Escape`&&n(null)}})}var Qr={MODEL:[`var(--hue-1)`,`square`],CONDITIONING:[`var(--hue-2)`,`diamond`],LATENT:[`var(--hue-3)`,`circle`],IMAGE:[`var(--hue-4)`,`rounded`],MASK:[`var(--hue-5)`,`half`],VAE:[`var(--hue-6)`,`triangle`],CLIP:[`var(--hue-7)`,`triangle`],INT:[`var(--hue-8)`,`circle`],FLOAT:[`var(--hue-8)`,`diamond`],STRING:[`var(--hue-8)`,`rounded`],BOOLEAN:[`var(--hue-8)`,`half`],COMBO:[`var(--hue-8)`,`square`],"*":[`var(--hue-0)`,`ring`]};function X(e){let t=Qr[e];if(t)return t;let n=0;for(let t of e)n=(n*31+t.charCodeAt(0))%997;return[`var(--hue-${n%8+1})`,`ring`]}var $r=.32,ei=e=>e.transform[2]<$r,ti=(e,t)=>e.isOutput||t.preview!==void 0||t.images!==void 0||t.texts!==void 0||e.inputs.some(O),ni=(0,_.memo)(function({id:e,selected:t}){let n=N(t=>E(t.doc,e)),r=P(e=>e.definitions),i=W(e=>e.active),a=R(t=>dn(t,i,e)),o=ie(ei);if(!n)return null;let s=k(r,n),c=!r.has(n.type),l=kt(s,n,ti(s,a)),u=[`node`,t?`is-selected`:``,a.state?`is-${a.state}`:``,c?`is-missing`:``,Ke(n)===2?`is-muted`:``,Ke(n)===4?`is-bypassed`:``,o?`is-far`:``,n.type===`Reroute`?`is-reroute`:``],d=typeof n.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(n.color)?{"--tint":n.color}:{};return(0,J.jsxs)(`div`,{className:u.filter(Boolean).join(` `),style:d,onDrop:t=>pi(t,e,s),children:[!o&&n.type!==`Reroute`&&(0,J.jsx)(ii,{id:e,node:n,title:T(n,s.title),run:a}),o&&(0,J.jsx)(`span`,{className:`far-title`,children:T(n,s.title)}),(0,J.jsx)(ai,{id:e,shape:s,layout:l}),!o&&!qe(n)&&n.type!==`Reroute`&&(0,J.jsx)(oi,{id:e,node:n,shape:s,layout:l,run:a,isMissing:c}),!o&&a.errors&&a.errors.length>0&&(0,J.jsx)(gi,{id:e,run:a,shape:s}),t&&!qe(n)&&n.type!==`Reroute`&&(0,J.jsx)(Me,{className:`resize`,minWidth:220,minHeight:60})]})}),ri={queued:`waiting`,running:`running`,finished:`done`,cached:`unchanged, taken from the last run`,error:`failed`};function ii({id:e,node:n,title:r,run:i}){let o=B(t=>t.renaming===e),s=qe(n),c=i.state===`running`&&i.max?Math.min(1,(i.value??0)/i.max):0;return(0,J.jsxs)(`header`,{className:`node-header`,children:[(0,J.jsx)(`button`,{type:`button`,className:`icon nodrag`,"aria-label":s?`Expand ${r}`:`Collapse ${r}`,"aria-expanded":!s,onClick:()=>F({kind:`flag`,nodes:[e],flag:`collapsed`,on:!s}),children:s?(0,J.jsx)(t,{size:14}):(0,J.jsx)(p,{size:14})}),o?(0,J.jsx)(Zr,{title:r,label:`Name of the node`,done:t=>{B.setState({renaming:null}),t!==null&&t!==r&&F({kind:`patch`,nodes:[e],fields:{title:t}})}}):(0,J.jsx)(`span`,{className:`node-title`,onDoubleClick:()=>B.setState({renaming:e}),children:r}),Je(n)&&(0,J.jsx)(a,{size:12,"aria-label":`pinned`}),i.state===`running`?(0,J.jsxs)(`svg`,{className:`ring`,viewBox:`0 0 20 20`,role:`progressbar`,"aria-label":`${r}: progress`,"aria-valuenow":Math.round(c*100),"aria-valuemin":0,"aria-valuemax":100,children:[(0,J.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`}),(0,J.jsx)(`circle`,{cx:`10`,cy:`10`,r:`7`,className:`ring-part`,pathLength:100,strokeDasharray:`${c*100} 100`})]}):i.state&&(0,J.jsx)(`span`,{className:`glyph glyph-${i.state}`,role:`img`,"aria-label":ri[i.state],title:ri[i.state]}),i.state===`running`&&i.max!==void 0&&i.max>1&&(0,J.jsx)(`span`,{className:`steps`,children:`${i.value??0}/${i.max}`}),c>0&&(0,J.jsx)(`span`,{className:`bar`,style:{transform:`scaleX(${c})`}})]})}function ai({id:e,shape:t,layout:n}){let r=B(e=>e.pending),i=N(e=>e.doc.links),a=P(e=>e.definitions),o=I(),c=i&&D(o,e),l=(t,n,i)=>{if(!r)return``;let s=`from`in r?r.from:{node:e,output:i},c=`to`in r?r.to:{node:e,input:n};return`from`in r==(t===`out`)?`is-dim`:j(o,a,s,c).ok?`is-fit`:`is-dim`};return(0,J.jsxs)(J.Fragment,{children:[t.inputs.filter(e=>n.inputs.has(e.name)).map(e=>{let[t,r]=X(e.type),i=c.has(e.name)?`is-linked`:e.widget?`is-quiet`:e.optional?`is-open`:``;return(0,J.jsx)(f,{id:`in:${e.name}`,type:`target`,position:s.Left,className:`socket shape-${r} ${i} ${l(`in`,e.name,0)}`,title:`${e.name}: ${e.type}`,style:{top:n.inputs.get(e.name),"--hue":t}},`in:${e.name}`)}),t.outputs.map((e,t)=>{let[r,i]=X(e.type);return(0,J.jsx)(f,{id:`out:${t}`,type:`source`,position:s.Right,className:`socket shape-${i} ${l(`out`,``,t)}`,title:`${e.name}: ${e.type}`,style:{top:n.outputs[t],"--hue":r}},`out:${t}`)})]})}function oi({id:e,node:t,shape:n,layout:r,run:i,isMissing:a}){let o=Lt(n,t),s=N(t=>D(t.doc,e)),c=T(t,n.title);return(0,J.jsxs)(J.Fragment,{children:[r.rows.map(t=>t.kind===`sockets`?(0,J.jsx)(ci,{row:t,shape:n},`s${t.y}`):(0,J.jsx)(ui,{id:e,row:t,title:c,isLinked:s.has(t.input.name),value:o[t.kind===`control`?M(t.input.name):t.input.name]??null},`${t.kind}:${t.input.name}`)),a&&(0,J.jsx)(`p`,{className:`missing-note`,style:{top:r.picture.y||40},children:si(t)}),r.picture.height>0&&(0,J.jsx)(mi,{run:i,shape:n,values:o,title:c,top:r.picture.y,height:r.picture.height})]})}function si(e){return e.type===`PrimitiveNode`?b(e.widgets_values)?String(e.widgets_values[0]??``):``:`This type is not installed here. Its values and links are kept.`}function ci({row:e,shape:t}){return(0,J.jsxs)(`div`,{className:`row sockets-row`,style:{top:e.y},children:[(0,J.jsx)(`span`,{title:li(e.input),children:e.input?.name}),(0,J.jsx)(`span`,{children:e.output===null?``:t.outputs[e.output]?.name})]})}var li=e=>typeof e?.options.tooltip==`string`?e.options.tooltip:void 0;function ui({id:e,row:t,value:n,isLinked:r,title:i}){let{input:a}=t,o={top:t.y,height:t.height};if(t.kind===`upload`)return(0,J.jsx)(`div`,{className:`row`,style:o,children:(0,J.jsx)(fi,{id:e,input:a,title:i})});if(t.kind===`control`)return(0,J.jsxs)(`div`,{className:`row`,style:o,children:[(0,J.jsx)(`span`,{className:`row-label`,children:`after a run`}),(0,J.jsx)(Xr,{node:e,input:a,value:n,label:`${i}: ${a.name} after a run`})]});let s=a.widget===`text`&&a.options.multiline===!0;return(0,J.jsxs)(`div`,{className:`row ${s?`row-text`:``}`,style:o,title:li(a),children:[!s&&(0,J.jsx)(`span`,{className:`row-label`,children:a.name}),(0,J.jsx)(Wr,{node:e,input:a,value:n,label:`${i}: ${a.name}`,isLinked:r})]})}async function di(e,t,n){if(n)try{let r=await ir(n);await Dr(),F({kind:`value`,node:e,name:t.name,value:r})}catch(e){U(e instanceof Error?e.message:String(e),`error`)}}function fi({id:e,input:t,title:n}){return(0,J.jsxs)(`label`,{className:`button nodrag upload`,children:[`Choose a picture…`,(0,J.jsx)(`input`,{type:`file`,accept:`image/*`,className:`hidden`,"aria-label":`${n}: choose a picture`,onChange:n=>void di(e,t,n.target.files?.[0])})]})}function pi(e,t,n){let r=n.inputs.find(O),i=e.dataTransfer.files[0];r&&i?.type.startsWith(`image/`)&&(e.preventDefault(),e.stopPropagation(),di(t,r,i))}function mi({run:e,shape:t,values:n,title:r,top:i,height:a}){let o=t.inputs.find(O),s=o?n[o.name]:void 0,c=o?.choices.includes(s)||String(s).endsWith(`]`),l=s&&c?[`./view?${new URLSearchParams({filename:String(s),type:`input`}).toString()}`]:[],u=e.images??l;return(0,J.jsxs)(`div`,{className:`picture nodrag`,style:{top:i,height:a},children:[e.preview&&(0,J.jsx)(`img`,{src:e.preview,alt:`${r}: how far it is`,decoding:`async`,draggable:!1}),!e.preview&&u.map((e,t)=>(0,J.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":`${r}: picture ${t+1} of ${u.length}, show it large`,onClick:()=>B.setState({lightbox:{urls:u,at:t}}),children:(0,J.jsx)(`img`,{src:e,alt:``,decoding:`async`,draggable:!1})},e)),e.texts?.map(e=>(0,J.jsx)(`pre`,{className:`nowheel`,children:e},e)),!e.preview&&u.length===0&&!e.texts&&(0,J.jsx)(`span`,{className:`faint`,children:`Run to see the result`})]})}var hi=8;function gi({id:e,run:t,shape:n}){return(0,J.jsx)(`div`,{className:`node-errors nodrag nowheel`,children:t.errors?.map(t=>(0,J.jsxs)(`div`,{children:[(0,J.jsxs)(`p`,{children:[t.input&&(0,J.jsxs)(`strong`,{children:[t.input,`: `]}),t.message]}),t.choices.length>0&&n.inputs.some(e=>e.name===t.input)&&(0,J.jsxs)(`p`,{className:`choices`,children:[_i(t.choices,t.message).map(n=>(0,J.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>t.input&&F({kind:`value`,node:e,name:t.input,value:n}),children:n},n)),t.choices.length>hi&&(0,J.jsx)(`span`,{className:`faint`,children:`and ${t.choices.length-hi} more`})]}),t.details.length>80&&t.input===null&&(0,J.jsxs)(`details`,{children:[(0,J.jsx)(`summary`,{children:`Details`}),(0,J.jsx)(`pre`,{children:t.details})]})]},t.input+t.message))})}var _i=(e,t)=>[...e].sort((e,n)=>Number(t.includes(`'${n}'?`))-Number(t.includes(`'${e}'?`))).slice(0,hi);function vi(e,t,n){let r=T(e,t.title),i=D(I(),String(e.id)).size;return[r,r===t.title?``:t.title,`links in: ${i}`,`links out: ${tt(I(),String(e.id)).length}`,Ke(e)===2?`muted`:``,Ke(e)===4?`bypassed`:``,n.state?ri[n.state]??``:``].filter(Boolean).join(`, `)}var yi=()=>[0,0],bi=e=>{yi=e},xi=()=>yi(),Si=14,Z=`group:`,Ci={easel:ni,frame:(0,_.memo)(Vi)},wi=[10,10],Ti={padding:.12,maxZoom:1},Ei={hideAttribution:!1},Di=null,Oi=[`Shift`,`Control`,`Meta`],ki={};function Ai(){return(0,J.jsx)(n,{children:(0,J.jsx)(ji,{})})}function ji(){let e=c(),[t,n]=(0,_.useState)(null),r=Pi(t),i=Ri(),{minimap:a,snap:s,fit:u,locate:f,theme:p}=B(),m=(0,_.useRef)(null),ee=(0,_.useRef)(new Map);(0,_.useEffect)(()=>bi(()=>{let t=m.current?.getBoundingClientRect()??new DOMRect,{x:n,y:r}=e.screenToFlowPosition({x:t.x+t.width/2-130,y:t.y+t.height/2-100});return[Math.round(n),Math.round(r)]}),[e]),(0,_.useEffect)(()=>{let t=requestAnimationFrame(()=>void e.fitView(Ti));return()=>cancelAnimationFrame(t)},[u,e]),(0,_.useEffect)(()=>{let t=f&&e.getNode(f.node);t&&e.setCenter(t.position.x+(t.width??0)/2,t.position.y+(t.height??0)/2,{zoom:Math.max(e.getZoom(),.8),duration:Ni()})},[f,e]);let h=(0,_.useCallback)(e=>{let t=new Set(B.getState().selected),r={},i=!1;for(let n of e)if(n.type===`select`&&!n.id.startsWith(Z))i=!0,n.selected?t.add(n.id):t.delete(n.id);else if(n.type===`position`&&n.dragging&&n.position)r[n.id]=[n.position.x,n.position.y];else if(n.type===`dimensions`&&n.resizing===!0&&n.dimensions){let e=E(I(),n.id);e&&F({kind:`resize`,node:n.id,pos:C(e),size:[Math.round(n.dimensions.width),Math.round(n.dimensions.height)]},`resize ${n.id}`)}i&&V(t),Object.keys(r).length&&n(e=>({...e,...r,...Ui(r,ee.current)}))},[]),ne=(0,_.useCallback)((e,t)=>{ee.current=t.id.startsWith(Z)?Hi(t.id):new Map},[]),re=(0,_.useCallback)(()=>{n(e=>(e&&queueMicrotask(()=>Wi(e)),null))},[]),ie=(0,_.useCallback)(e=>{let t=new Set(B.getState().selectedLinks);for(let n of e)n.type===`select`&&(n.selected?t.add(Number(n.id)):t.delete(Number(n.id)));B.setState({selectedLinks:t})},[]),se=(0,_.useCallback)(e=>Un(Vn(e)),[]),ce=(0,_.useCallback)((e,t)=>{let n=Vn(t);n&&j(I(),L(),n.from,n.to).ok&&F({kind:`all`,changes:[{kind:`unlink`,links:[Number(e.id)]},{kind:`link`,...n}]})},[]),le=(0,_.useCallback)((e,t,n,r)=>{r.toHandle?r.isValid||Wn(r):F({kind:`unlink`,links:[Number(t.id)]})},[]),g=(0,_.useRef)(!1),ue=(0,_.useCallback)((e,{nodeId:t,handleId:n,handleType:r})=>{t&&n&&B.setState({pending:r===`source`?{from:zn(t,n)}:{to:Bn(t,n)}})},[]),de=(0,_.useCallback)((t,n)=>{let{pending:r}=B.getState();if(B.setState({pending:null}),!r||n.isValid||g.current)return;if(n.toHandle)return Wn(n);let i=`changedTouches`in t?t.changedTouches[0]:t,a=(document.elementFromPoint(i?.clientX??0,i?.clientY??0)?.closest(`.react-flow__node`))?.dataset.id;if(a&&!a.startsWith(Z))return Gn(r,a);let{x:o,y:s}=e.screenToFlowPosition({x:i?.clientX??0,y:i?.clientY??0});H({kind:`nodes`,at:[Math.round(o),Math.round(s)],pending:r})},[e]),fe=(0,_.useCallback)(t=>{if(!(t.target instanceof Element)||!t.target.classList.contains(`react-flow__pane`))return;let{x:n,y:r}=e.screenToFlowPosition({x:t.clientX,y:t.clientY});H({kind:`nodes`,at:[Math.round(n),Math.round(r)],pending:null})},[e]),pe=(0,_.useCallback)(e=>{let t=e.target,n=t.classList.contains(`react-flow__node`)?t.dataset.id:void 0;n&&t.matches(`:focus-visible`)&&!n.startsWith(Z)&&V([n])},[]);return(0,J.jsx)(`div`,{className:`canvas`,ref:m,onDoubleClick:fe,onFocus:pe,onPointerDownCapture:Mi,children:(0,J.jsxs)(ae,{nodes:r,edges:i,nodeTypes:Ci,onNodesChange:h,onEdgesChange:ie,onNodeDragStart:ne,onNodeDragStop:re,onSelectionDragStop:re,onConnect:se,onConnectStart:ue,onConnectEnd:de,isValidConnection:Hn,onReconnectStart:()=>{g.current=!0},onReconnect:ce,onReconnectEnd:(e,t,n,r)=>{le(e,t,n,r),g.current=!1},colorMode:p,minZoom:.05,maxZoom:4,snapToGrid:s,snapGrid:wi,deleteKeyCode:Di,multiSelectionKeyCode:Oi,selectionMode:d.Partial,edgesFocusable:!1,disableKeyboardA11y:!0,zoomOnDoubleClick:!1,onlyRenderVisibleElements:!0,connectionLineType:oe.Bezier,connectionRadius:24,reconnectRadius:12,proOptions:Ei,defaultViewport:{x:40,y:60,zoom:.8},"aria-label":`Workflow graph`,children:[(0,J.jsx)(o,{gap:20}),(0,J.jsx)(l,{showInteractive:!1,fitViewOptions:Ti,position:`bottom-left`}),a&&(0,J.jsx)(te,{pannable:!0,zoomable:!0,ariaLabel:`Map of the graph`,position:`bottom-right`})]})})}function Mi(e){e.target instanceof Element&&e.target.classList.contains(`react-flow__pane`)&&Le(document.activeElement)&&document.activeElement.blur()}var Ni=()=>matchMedia(`(prefers-reduced-motion: reduce)`).matches?0:160;function Pi(e){let t=N(e=>e.doc),n=P(e=>e.definitions),r=B(e=>e.selected),i=W(e=>e.active),a=R(e=>e.nodes[i]),o=(0,_.useRef)(new Map);return(0,_.useMemo)(()=>{let i=new Map;for(let s of t.nodes){let t=S(s),c=a?.[t]??ki,l=e?.[t]??C(s),u=r.has(t),d=o.current.get(t),f=d&&d.node===s&&Fi(d.run,c)&&d.selected===u&&d.definitions===n&&d.at[0]===l[0]&&d.at[1]===l[1];i.set(t,f?d:{node:s,run:c,selected:u,at:l,definitions:n,made:Ii(s,c,u,l,n)})}return o.current=i,[...t.groups.map((t,n)=>Bi(t,n,e)),...[...i.values()].map(e=>e.made)]},[t.nodes,t.groups,n,r,a,e])}var Fi=(e,t)=>e===t||e.state===t.state&&!e.preview==!t.preview&&!e.images==!t.images&&!e.texts==!t.texts;function Ii(e,t,n,r,i){let a=k(i,e),o=kt(a,e,ti(a,t));return{id:S(e),type:`easel`,position:{x:r[0],y:r[1]},data:{},selected:n,width:o.width,height:o.height,draggable:!Je(e),handles:Li(o),ariaLabel:vi(e,a,t),...e.type===`Reroute`?{}:{dragHandle:`.node-header, .far-title, .sockets-row, .row-label`}}}var Li=e=>[...[...e.inputs].map(([e,t])=>({id:`in:${e}`,type:`target`,position:s.Left,x:-7,y:t-Si/2,width:Si,height:Si})),...e.outputs.map((t,n)=>({id:`out:${n}`,type:`source`,position:s.Right,x:e.width-Si/2,y:t-Si/2,width:Si,height:Si}))];function Ri(){let e=N(e=>e.doc),t=P(e=>e.definitions),n=B(e=>e.selectedLinks),r=(0,_.useRef)(new Map);return(0,_.useMemo)(()=>{let i=new Map;for(let a of e.links){let[o]=X(String(a.type??`*`)),s=E(e,a.from),c=E(e,a.to);if(!s||!c||!k(t,s).outputs[a.output]||!k(t,c).inputs.some(e=>e.name===a.input))continue;let l=r.current.get(a.id),u=`out:${a.output}`,d=`in:${a.input}`,f=n.has(a.id),p=l?.source===a.from&&l.target===a.to&&l.sourceHandle===u&&l.targetHandle===d&&l.selected===f;i.set(a.id,p?l:{id:String(a.id),source:a.from,target:a.to,sourceHandle:u,targetHandle:d,selected:f,style:{stroke:o},interactionWidth:14,reconnectable:!0})}return r.current=i,[...i.values()]},[e,t,n])}var zi=e=>{let[t,n,r,i]=b(e.bounding)?e.bounding.map(Number):[];return[t??0,n??0,r??200,i??100]};function Bi(e,t,n){let[r,i,a,o]=zi(e),s=`${Z}${t}`,c=n?.[s]??[r,i];return{id:s,type:`frame`,position:{x:c[0],y:c[1]},data:{group:e},width:a,height:o,zIndex:-1,selectable:!1,focusable:!1,dragHandle:`.frame-title`,handles:[]}}function Vi({data:e}){let t=e.group,n=typeof t.color==`string`&&/^#[0-9a-f]{3,8}$/i.test(t.color)?t.color:void 0;return(0,J.jsx)(`div`,{className:`frame`,style:{"--frame":n},children:(0,J.jsx)(`span`,{className:`frame-title`,children:String(t.title??`Group`)})})}function Hi(e){let t=I().groups[Number(e.slice(6))];if(!t)return new Map;let[n,r,i,a]=zi(t),o=I().nodes.map(e=>[S(e),C(e)]).filter(([,[e,t]])=>e>=n&&e<=n+i&&t+16>=r&&t<=r+a);return new Map(o.map(([e,[t,i]])=>[e,[t-n,i-r]]))}function Ui(e,t){let n=Object.entries(e).find(([e])=>e.startsWith(Z))?.[1];return n?Object.fromEntries([...t].map(([e,[t,r]])=>[e,[n[0]+t,n[1]+r]])):{}}function Wi(e){let t=Object.entries(e).filter(([e])=>!e.startsWith(Z)).map(([e,[t,n]])=>[e,[Math.round(t),Math.round(n)]]),n=Object.entries(e).filter(([e])=>e.startsWith(Z)).flatMap(([e,[t,n]])=>{let r=Number(e.slice(6)),i=I().groups[r];if(!i)return[];let[,,a,o]=zi(i);return[{kind:`group`,place:r,group:{...i,bounding:[Math.round(t),Math.round(n),a,o]}}]});F({kind:`all`,changes:[{kind:`move`,to:Object.fromEntries(t)},...n]})}var Q=()=>[...B.getState().selected].filter(e=>E(I(),e)),$=()=>Q().length>0,Gi=()=>Q().length===1,Ki=()=>Q().flatMap(e=>E(I(),e)??[]),qi=``,Ji=`easel/clip`;function Yi(){let{nodes:e,links:t}=Zt(I(),Q());qi=He({[Ji]:1,nodes:e,links:t}),navigator.clipboard?.writeText(qi).catch(()=>void 0)}function Xi(e){try{let t=Ve(e);return y(t)&&t[Ji]===1?t:null}catch{return null}}function Zi(e,t){let n=Xi(e);if(!n)return!1;let{change:r,keys:i}=Qt(I(),n,[40,40],t);return F(r),V(i),!0}async function Qi(e){!Zi(await navigator.clipboard?.readText?.().catch(()=>qi)||qi,e)&&!Zi(qi,e)&&U(`There is nothing to paste.`)}function $i(){let{change:e,keys:t}=Qt(I(),Zt(I(),Q()),[40,40],!0);F(e),V(t)}var ea=()=>$()||B.getState().selectedLinks.size>0;function ta(){let e=Q();e.length===0?(F({kind:`unlink`,links:[...B.getState().selectedLinks]}),B.setState({selectedLinks:new Set})):(F({kind:`remove`,nodes:e}),V([]),U(`${e.length===1?`A node was`:`${e.length} nodes were`} deleted. Undo brings it back.`))}function na(e){let t=Ki().every(t=>Ke(t)===e);F({kind:`patch`,nodes:Q(),fields:{mode:t?0:e}})}function ra(){let e=Ki().map(e=>{let t=k(L(),e),{width:n,height:r}=kt(t,e,t.isOutput),[i,a]=C(e);return[i,a,i+n,a+r]}),[t,n]=[Math.min(...e.map(e=>e[0]))-20,Math.min(...e.map(e=>e[1]))-60],[r,i]=[Math.max(...e.map(e=>e[2]))+20,Math.max(...e.map(e=>e[3]))+20];F({kind:`add`,nodes:[],links:[],groups:[{title:`Group`,bounding:[t,n,r-t,i-n],color:`#3f789e`,font_size:24,flags:{}}]})}function ia(e,t){let n=Object.fromEntries(Ki().filter(e=>!Je(e)).map(n=>{let[r,i]=C(n);return[S(n),[r+e,i+t]]}));F({kind:`move`,to:n},`nudge ${Object.keys(n).join()}`)}var aa=10,oa=[{id:`edit.undo`,title:`Undo`,keys:[`Mod+Z`],when:()=>N.temporal.getState().pastStates.length>0,perform:an,inText:!0},{id:`edit.redo`,title:`Redo`,keys:[`Mod+Shift+Z`,`Mod+Y`],when:()=>N.temporal.getState().futureStates.length>0,perform:on,inText:!0},{id:`edit.add`,title:`Add node…`,keys:[`Space`,`Shift+A`],when:v,perform:()=>H({kind:`nodes`,at:null,pending:null})},{id:`edit.connect`,title:`Connect…`,keys:[`C`],when:Gi,perform:()=>H({kind:`connect`,node:Q()[0]??``})},{id:`edit.disconnect`,title:`Remove all links of the selection`,keys:[`Shift+X`],when:$,perform:()=>{let e=I();F({kind:`unlink`,links:Q().flatMap(t=>[...D(e,t).values(),...tt(e,t)].map(e=>e.id))})}},{id:`edit.delete`,title:`Delete`,keys:[`Delete`,`Backspace`],when:ea,perform:ta},{id:`edit.copy`,title:`Copy`,keys:[`Mod+C`],when:$,perform:Yi},{id:`edit.cut`,title:`Cut`,keys:[`Mod+X`],when:$,perform:()=>{Yi(),ta()}},{id:`edit.paste`,title:`Paste`,keys:[`Mod+V`],when:v,perform:()=>Qi(!1)},{id:`edit.pasteLinked`,title:`Paste with incoming links`,keys:[`Mod+Shift+V`],when:v,perform:()=>Qi(!0)},{id:`edit.duplicate`,title:`Duplicate`,keys:[`Mod+D`],when:$,perform:$i},{id:`edit.selectAll`,title:`Select all`,keys:[`Mod+A`],when:v,perform:()=>V(I().nodes.map(S))},{id:`edit.selectNone`,title:`Select nothing`,keys:[`Escape`],when:$,perform:()=>V([])},{id:`edit.mute`,title:`Mute`,keys:[`Mod+M`],when:$,perform:()=>na(2)},{id:`edit.bypass`,title:`Bypass`,keys:[`Mod+B`],when:$,perform:()=>na(4)},{id:`edit.collapse`,title:`Collapse or expand`,keys:[`Alt+C`],when:$,perform:()=>F({kind:`flag`,nodes:Q(),flag:`collapsed`,on:!Ki().every(qe)})},{id:`edit.pin`,title:`Pin or unpin`,keys:[`P`],when:$,perform:()=>F({kind:`flag`,nodes:Q(),flag:`pinned`,on:!Ki().every(Je)})},{id:`edit.rename`,title:`Rename`,keys:[`F2`],when:Gi,perform:()=>B.setState({renaming:Q()[0]??null})},{id:`edit.group`,title:`Group selection`,keys:[`Mod+G`],when:$,perform:ra},{id:`edit.arrange`,title:`Arrange automatically`,keys:[`Shift+L`],when:()=>I().nodes.length>0,perform:()=>{let e=Q().length>1?new Set(Q()):void 0;F({kind:`move`,to:ar(I(),L(),e)}),B.setState(e=>({fit:e.fit+1}))}},...[[`Left`,-10,0],[`Right`,aa,0],[`Up`,0,-10],[`Down`,0,aa]].map(([e,t,n])=>({id:`edit.move${e}`,title:`Move selection ${e.toLowerCase()}`,keys:[`Arrow${e}`],when:$,perform:()=>ia(t,n)}))],sa=`{
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
`;function ca(){let e=Object.assign(document.createElement(`input`),{type:`file`,accept:`.json,.png,.webp,application/json,image/png,image/webp`,multiple:!0});e.onchange=()=>{for(let t of e.files??[])Ir(t)},e.click()}function la(){let e=Fn();e&&Mn(e.id)}function ua(e){let{tabs:t,active:n}=W.getState(),r=t[(t.findIndex(e=>e.id===n)+e+t.length)%t.length];r&&jn(r.id)}var da=[{id:`file.new`,title:`New workflow`,keys:[`Alt+N`],when:v,perform:()=>void zr()},{id:`file.template`,title:`Start from text to image`,keys:[],when:v,perform:()=>Pr(sa,`Text to image.json`)},{id:`file.open`,title:`Open…`,keys:[`Mod+O`],when:v,perform:ca,inText:!0},{id:`file.save`,title:`Save as a file`,keys:[`Mod+S`],when:v,perform:Rr,inText:!0},{id:`file.close`,title:`Close this workflow`,keys:[`Alt+W`],when:v,perform:la},{id:`file.rename`,title:`Rename this workflow`,keys:[],when:v,perform:()=>B.setState({renaming:`tab`})},{id:`file.nextTab`,title:`Next workflow`,keys:[`Alt+PageDown`],when:v,perform:()=>ua(1),inText:!0},{id:`file.previousTab`,title:`Previous workflow`,keys:[`Alt+PageUp`],when:v,perform:()=>ua(-1),inText:!0}],fa=e=>e.then(()=>void 0,e=>U(e instanceof Error?e.message:String(e),`error`)),pa=[{id:`run.queue`,title:`Run`,keys:[`Mod+Enter`],when:v,perform:()=>kr(),inText:!0},{id:`run.front`,title:`Run before all others`,keys:[`Mod+Shift+Enter`],when:v,perform:()=>kr(!0),inText:!0},{id:`run.interrupt`,title:`Stop the running job`,keys:[`Mod+Alt+Enter`],when:()=>R.getState().remaining>0,perform:()=>fa(Zn()),inText:!0},{id:`run.clear`,title:`Clear all waiting jobs`,keys:[],when:()=>R.getState().remaining>0,perform:()=>fa($n())}],ma=[{id:`view.commands`,title:`All commands…`,keys:[`Mod+K`,`Mod+Shift+P`],when:v,perform:()=>H({kind:`commands`}),inText:!0},{id:`view.find`,title:`Find a node…`,keys:[`Mod+F`],when:v,perform:()=>H({kind:`find`})},{id:`view.fit`,title:`Show the whole graph`,keys:[`.`],when:v,perform:()=>B.setState(e=>({fit:e.fit+1}))},{id:`view.outline`,title:`Outline panel`,keys:[`O`],when:v,perform:()=>yn(`outline`)},{id:`view.queue`,title:`Queue and history panel`,keys:[`Q`],when:v,perform:()=>yn(`queue`)},{id:`view.gallery`,title:`Pictures panel`,keys:[`G`],when:v,perform:()=>yn(`gallery`)},{id:`view.problems`,title:`Problems panel`,keys:[`E`],when:v,perform:()=>yn(`problems`)},{id:`view.minimap`,title:`Show or hide the map`,keys:[`M`],when:v,perform:()=>B.setState(({minimap:e})=>({minimap:!e}))},{id:`view.snap`,title:`Snap to the grid, or not`,keys:[],when:v,perform:()=>B.setState(({snap:e})=>({snap:!e}))},{id:`view.help`,title:`Keyboard shortcuts`,keys:[`?`],when:v,perform:()=>B.setState({help:!0})},...[`system`,`dark`,`light`].map(e=>({id:`view.theme.${e}`,title:`Colours: ${e}`,keys:[],when:v,perform:()=>xn(e)}))],ha=[...pa,...oa,...da,...ma],ga=new Map;for(let e of ha)for(let t of e.keys){if(ga.has(t))throw Error(`${t} means both ${ga.get(t)?.id} and ${e.id}`);ga.set(t,e)}var _a=e=>{let t=ha.find(t=>t.id===e);if(!t)throw Error(`there is no command ${e}`);return t};function va(e){if(e.isComposing||e.defaultPrevented)return null;let{palette:t,lightbox:n,help:r}=B.getState();if(t||n||r)return null;let i=Fe(e),a=ga.get(i);if(!a?.when())return null;if(Le(e.target))return a.inText?a:null;let o=[`Space`,`Enter`].includes(i)||i.startsWith(`Arrow`),s=e.target instanceof Element?e.target:null;return o&&s?.closest(`button, a, input, [role=listbox], [role=menu], [role=tablist], [role=tree]`)?null:a}function ya(e){let{palette:t,lightbox:n,help:r}=B.getState();return!t&&!n&&!r&&ga.get(Fe(e))?.inText===!0}function ba(){let e=e=>{let t=va(e);t?(e.preventDefault(),t.perform()):ya(e)&&e.preventDefault()};return addEventListener(`keydown`,e),()=>removeEventListener(`keydown`,e)}var xa=[`edit.connect`,`edit.rename`,`edit.collapse`,`edit.mute`,`edit.bypass`,`edit.pin`,`edit.group`,`edit.duplicate`,`edit.copy`,`edit.cut`,`edit.disconnect`,`edit.delete`],Sa=[`edit.add`,`edit.paste`,`edit.selectAll`,`edit.arrange`,`view.fit`,`edit.undo`,`edit.redo`];function Ca({children:e}){let t=B(e=>e.selected.size>0);return(0,J.jsxs)(De,{children:[(0,J.jsx)(ve,{className:`stage`,onContextMenu:e=>{let t=e.target instanceof Element?e.target.closest(`.react-flow__node`)?.dataset.id:void 0;!t||t.startsWith(`group:`)?V([]):B.getState().selected.has(t)||V([t])},children:e}),(0,J.jsx)(ye,{children:(0,J.jsx)(ue,{className:`positioner`,children:(0,J.jsx)(me,{className:`menu`,"aria-label":t?`Selection`:`Canvas`,children:(t?xa:Sa).map(_a).map(e=>(0,J.jsxs)(pe,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,J.jsx)(`span`,{children:e.title}),(0,J.jsx)(`kbd`,{children:e.keys[0]?Ie(e.keys[0]):``})]},e.id))})})})]})}function wa(){let e=B(e=>e.lightbox),n=()=>B.setState({lightbox:null}),r=e?.urls??[],i=e?.at??0,a=r[i],o=e=>B.setState({lightbox:{urls:r,at:(i+e+r.length)%r.length}}),s=a?new URLSearchParams(a.split(`?`)[1]).get(`filename`)??``:``,c=async()=>{if(a)try{await Ir(new File([await(await fetch(a)).blob()],s)),n()}catch{U(`${s} cannot be read.`,`error`)}};return(0,J.jsx)(we,{open:e!==null,onOpenChange:e=>!e&&n(),children:(0,J.jsxs)(he,{children:[(0,J.jsx)(Te,{className:`backdrop`}),(0,J.jsxs)(le,{className:`lightbox`,onKeyDown:e=>{e.key===`ArrowRight`&&o(1),e.key===`ArrowLeft`&&o(-1)},children:[(0,J.jsxs)(`div`,{className:`lightbox-head`,children:[(0,J.jsx)(be,{className:`lightbox-title`,children:s}),(0,J.jsx)(`span`,{className:`faint`,children:r.length>1?`${i+1} of ${r.length}`:``}),(0,J.jsx)(`button`,{type:`button`,className:`button small`,onClick:()=>void c(),children:`Open its workflow`}),(0,J.jsx)(`a`,{className:`button small`,href:a,download:s,children:`Download`}),(0,J.jsx)(xe,{className:`icon-button`,"aria-label":`Close the picture`,children:(0,J.jsx)(g,{size:16})})]}),(0,J.jsxs)(`div`,{className:`lightbox-stage`,children:[r.length>1&&(0,J.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Previous picture`,onClick:()=>o(-1),children:(0,J.jsx)(ge,{})}),a&&(0,J.jsx)(`img`,{src:a,alt:s}),r.length>1&&(0,J.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Next picture`,onClick:()=>o(1),children:(0,J.jsx)(t,{})})]})]})]})})}function Ta(){let e=B(e=>e.help);return(0,J.jsx)(we,{open:e,onOpenChange:e=>B.setState({help:e}),children:(0,J.jsxs)(he,{children:[(0,J.jsx)(Te,{className:`backdrop`}),(0,J.jsxs)(le,{className:`dialog`,children:[(0,J.jsx)(be,{children:`Keyboard shortcuts`}),(0,J.jsx)(`p`,{className:`faint`,children:`Everything can be done without a mouse: Tab goes from node to node, C links the chosen one.`}),(0,J.jsx)(`dl`,{className:`shortcuts`,children:ha.filter(e=>e.keys.length).map(e=>(0,J.jsxs)(`div`,{children:[(0,J.jsx)(`dt`,{children:e.title}),(0,J.jsx)(`dd`,{children:e.keys.map(e=>(0,J.jsx)(`kbd`,{children:Ie(e)},e))})]},e.id))}),(0,J.jsx)(xe,{className:`button`,children:`Close`})]})]})})}function Ea(){let e=B(e=>e.toasts);return(0,J.jsx)(`section`,{className:`toasts`,"aria-live":`polite`,"aria-label":`Messages`,children:e.map(e=>(0,J.jsxs)(`div`,{className:`toast is-${e.tone}`,children:[(0,J.jsx)(`span`,{children:e.text}),(0,J.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":`Dismiss this message`,onClick:()=>wn(e.id),children:(0,J.jsx)(g,{size:14})})]},e.id))})}var Da=100,Oa=()=>H(null);function ka(){let e=B(e=>e.palette);return(0,J.jsx)(we,{open:e!==null,onOpenChange:e=>!e&&Oa(),children:(0,J.jsxs)(he,{children:[(0,J.jsx)(Te,{className:`backdrop`}),(0,J.jsx)(le,{className:`palette`,children:e&&(0,J.jsx)(Aa,{palette:e},e.kind)})]})})}function Aa({palette:e}){let[t,n]=(0,_.useState)(null),r=(0,_.useMemo)(()=>ja(e,t,n),[e,t]),[i,a]=(0,_.useState)(``),[o,s]=(0,_.useState)(0),c=(0,_.useId)(),l=(0,_.useRef)(null),u=(0,_.useRef)(null),d=(0,_.useMemo)(()=>new Ee(r.items,{keys:[{name:`title`,weight:3},{name:`note`,weight:1},{name:`more`,weight:1}],threshold:.35,ignoreLocation:!0}),[r]),f=(i?d.search(i).map(e=>e.item):r.items).slice(0,Da);(0,_.useEffect)(()=>{a(``),s(0),l.current?.focus()},[t]),(0,_.useEffect)(()=>{u.current?.scrollIntoView({block:`nearest`})},[o]);let p=e=>{e&&e.choose()!==!0&&Oa()};return(0,J.jsxs)(J.Fragment,{children:[(0,J.jsx)(be,{className:`palette-title`,children:r.label}),(0,J.jsx)(`input`,{ref:l,className:`palette-field`,type:`text`,role:`combobox`,"aria-label":r.label,"aria-expanded":`true`,"aria-controls":c,autoComplete:`off`,spellCheck:!1,"aria-activedescendant":f[o]?`${c}-${o}`:void 0,value:i,onKeyDown:e=>{let t={ArrowDown:1,ArrowUp:-1,PageDown:8,PageUp:-8}[e.key];e.key===`Enter`&&!e.nativeEvent.isComposing?(e.preventDefault(),p(f[o])):t&&(e.preventDefault(),s(Math.max(0,Math.min(f.length-1,o+t))))},placeholder:`Type to search`,onChange:e=>{a(e.target.value),s(0)}}),(0,J.jsx)(`div`,{id:c,role:`listbox`,"aria-label":r.label,className:`palette-list`,children:f.map((e,t)=>(0,J.jsxs)(`div`,{id:`${c}-${t}`,ref:t===o?u:null,role:`option`,"aria-selected":t===o,tabIndex:-1,onClick:()=>p(e),onMouseMove:()=>s(t),children:[e.hue&&(0,J.jsx)(`span`,{className:`dot`,style:{background:e.hue}}),(0,J.jsx)(`span`,{className:`palette-name`,children:e.title}),(0,J.jsx)(`span`,{className:`palette-note`,children:e.note})]},e.id))}),f.length===0&&(0,J.jsx)(`p`,{className:`palette-none`,children:r.none})]})}function ja(e,t,n){switch(e.kind){case`commands`:return{label:`Commands`,none:`No command is called that.`,items:ha.filter(e=>e.when()&&e.id!==`view.commands`).map(e=>({id:e.id,title:e.title,note:e.keys.map(Ie).join(`  `),more:e.id,choose:()=>(Oa(),e.perform(),!0)}))};case`nodes`:return{label:e.pending?`Add a node that fits`:`Add a node`,none:`No node is called that.`,items:Ma(e.at,e.pending)};case`find`:return{label:`Find a node in this workflow`,none:`No node of this workflow is called that.`,items:I().nodes.map(e=>{let t=k(L(),e);return{id:S(e),title:T(e,t.title),note:`${e.type} · ${S(e)}`,more:``,choose:()=>bn(S(e))}})};case`connect`:return t?{label:`To`,none:`Nothing in this workflow fits. Add a node for it first.`,items:La(t)}:{label:`Connect`,none:`This node has no sockets.`,items:Ia(e.node,n)}}}function Ma(e,t){let n=I(),r=L(),i=t&&`from`in t?Ct(n,r,t.from):null,a=t&&`to`in t?E(n,t.to.node):void 0,o=a&&t&&`to`in t?k(r,a).inputs.find(e=>e.name===t.to.input)?.type:void 0,s=e=>i===null?o===void 0||e.outputs.some(e=>St(e.type,o)):e.inputs.some(e=>St(i,e.type)),c=e=>i!==null&&e.inputs.some(e=>e.type===i&&!e.widget)?0:1;return[...r.values()].filter(s).sort((e,t)=>c(e)-c(t)||e.title.localeCompare(t.title)).map(n=>({id:n.type,title:n.title,note:n.category,more:`${n.type} ${n.outputs.map(e=>e.type).join(` `)} ${n.description}`,hue:n.outputs[0]?X(n.outputs[0].type)[0]:`var(--faint)`,choose:()=>Na(n,e,t)}))}function Na(e,t,n){let r=I(),i=L(),a=Xt(r,e,[0,0],[270,0]),{width:o,height:s}=kt(e,a,e.isOutput),c=r.nodes.map(e=>{let t=k(i,e),n=kt(t,e,t.isOutput);return{pos:C(e),size:[n.width,n.height]}}),l={...a,pos:[...t??Nt(c,[o,s],xi())],size:[o,s]},u={kind:`add`,nodes:[l],links:[]},d=Wt(r,u,i),f=S(l),p=n&&(`from`in n?n.from:Dt(d,i,n.to,f)),m=n&&(`to`in n?n.to:Tt(d,i,n.from,f));F(p&&m?{kind:`all`,changes:[u,{kind:`link`,from:p,to:m}]}:u),V([f]),Fa(f)}var Pa=30;function Fa(e,t=Pa){let n=document.querySelector(`.react-flow__node[data-id="${CSS.escape(e)}"]`),r=document.querySelector(`.palette`)!==null;n&&!r&&n.focus(),(!n||r||document.activeElement!==n)&&t>0&&setTimeout(()=>Fa(e,t-1),30)}function Ia(e,t){let n=E(I(),e);if(!n)return[];let r=k(L(),n),i=e=>(t(e),!0),a=D(I(),e);return[...r.outputs.map((t,n)=>({id:`out:${n}`,title:`${t.name} →`,note:`output, ${t.type}`,more:``,hue:X(t.type)[0],choose:()=>i({from:{node:e,output:n}})})),...r.inputs.map(t=>({id:`in:${t.name}`,title:`→ ${t.name||`input`}`,note:`input, ${t.type}${a.has(t.name)?`, linked`:``}`,more:``,hue:X(t.type)[0],choose:()=>i({to:{node:e,input:t.name}})}))]}function La(e){let t=I(),n=L(),r=(e,t,n)=>()=>{F({kind:`link`,from:e,to:t}),U(`Linked: ${n}.`)},i=[];for(let a of t.nodes){let o=S(a),s=k(n,a),c=T(a,s.title);if(`from`in e)for(let l of s.inputs){let s={node:o,input:l.name};if(!j(t,n,e.from,s).ok)continue;let u=D(t,o).has(l.name);i.push({id:`${o} ${l.name}`,title:`${c}: ${l.name}`,note:`${u?`replaces a link · `:``}${o}`,more:a.type,hue:X(l.type)[0],choose:r(e.from,s,`${c}, ${l.name}`)})}else s.outputs.forEach((s,l)=>{let u={node:o,output:l};j(t,n,u,e.to).ok&&i.push({id:`${o} ${l}`,title:`${c}: ${s.name}`,note:o,more:a.type,hue:X(s.type)[0],choose:r(u,e.to,`${c}, ${s.name}`)})})}return i}var Ra={outline:[`Outline`,()=>(0,J.jsx)(Ba,{})],queue:[`Queue and history`,()=>(0,J.jsx)(Wa,{})],gallery:[`Pictures`,()=>(0,J.jsx)(Ya,{})],problems:[`Problems`,()=>(0,J.jsx)(Xa,{})]};function za(){let e=B(e=>e.panel);if(!e)return null;let[t,n]=Ra[e];return(0,J.jsxs)(`aside`,{className:`side`,"aria-label":t,children:[(0,J.jsxs)(`div`,{className:`side-head`,children:[(0,J.jsx)(`h2`,{children:t}),(0,J.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`Close ${t}`,onClick:()=>B.setState({panel:null}),children:(0,J.jsx)(g,{size:16})})]}),(0,J.jsx)(`div`,{className:`side-body`,children:n()})]})}function Ba(){let e=N(e=>e.doc),t=P(e=>e.definitions),n=B(e=>e.selected),r=W(e=>e.active),i=R(e=>e.nodes[r]);if(e.nodes.length===0)return(0,J.jsx)(`p`,{className:`faint`,children:`This workflow is empty.`});let a=e=>e?T(e,k(t,e).title):`?`;return(0,J.jsx)(`ol`,{className:`outline`,children:Va(e.nodes,t=>[...D(e,t).values()].map(e=>e.from)).map(r=>{let o=S(r),s=[...D(e,o).values()];return(0,J.jsxs)(`li`,{children:[(0,J.jsxs)(`button`,{type:`button`,"aria-pressed":n.has(o),onClick:()=>bn(o),children:[a(r),` `,(0,J.jsx)(`span`,{className:`faint`,children:o}),(0,J.jsx)(`span`,{className:`hidden`,children:vi(r,k(t,r),i?.[o]??{})})]}),s.length>0&&(0,J.jsx)(`ul`,{"aria-label":`Links into ${a(r)}`,children:s.map(t=>(0,J.jsx)(`li`,{children:`${t.input||`input`} ← ${a(E(e,t.from))}`},t.id))})]},o)})})}function Va(e,t){let n=new Map(e.map(e=>[S(e),e])),r=new Set,i=[];for(let e of n.keys()){let a=[[e,!1]];for(let e=a.pop();e;e=a.pop()){let[o,s]=e,c=n.get(o);s&&c?i.push(c):r.has(o)||(r.add(o),a.push([o,!0],...t(o).map(e=>[e,!1])))}}return i}var Ha=e=>U(e instanceof Error?e.message:String(e),`error`);function Ua(){let e=R(e=>e.turn),[t,n]=(0,_.useState)([]);return(0,_.useEffect)(()=>{let e=!1,t=setTimeout(()=>void rr().then(t=>!e&&n(t),()=>void 0),120);return()=>{e=!0,clearTimeout(t)}},[e]),t}function Wa(){let e=R(e=>e.turn),[t,n]=(0,_.useState)({running:[],pending:[]}),r=Ua();(0,_.useEffect)(()=>{let e=!1;return nr().then(t=>!e&&n(t),()=>void 0),()=>{e=!0}},[e]);let i=e=>void e.then(()=>R.setState(e=>({turn:e.turn+1})),Ha);return(0,J.jsxs)(J.Fragment,{children:[(0,J.jsx)(`h3`,{children:`Running and waiting`}),t.running.length+t.pending.length===0&&(0,J.jsx)(`p`,{className:`faint`,children:`Nothing is running.`}),(0,J.jsxs)(`ul`,{className:`jobs`,children:[t.running.map(e=>(0,J.jsxs)(`li`,{children:[(0,J.jsx)(`span`,{className:`glyph glyph-running`}),` `,(0,J.jsx)(Ka,{job:e}),` `,(0,J.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Stop ${Ga(e)}`,onClick:()=>i(Zn()),children:`Stop`})]},e.id)),t.pending.map(e=>(0,J.jsxs)(`li`,{children:[(0,J.jsx)(`span`,{className:`glyph glyph-queued`}),` `,(0,J.jsx)(Ka,{job:e}),` `,(0,J.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Remove ${Ga(e)}`,onClick:()=>i(Qn([e.id])),children:`Remove`})]},e.id))]}),(0,J.jsx)(`h3`,{children:`Ended`}),(0,J.jsx)(`ul`,{className:`jobs`,children:r.map(e=>(0,J.jsxs)(`li`,{children:[(0,J.jsx)(`span`,{className:`glyph glyph-${e.status===`success`?`finished`:`error`}`,role:`img`,"aria-label":e.status===`success`?`done`:`failed or stopped`}),(0,J.jsx)(Ja,{job:e}),(0,J.jsxs)(`span`,{className:`job-words`,children:[(0,J.jsx)(Ka,{job:e}),e.message&&(0,J.jsx)(`span`,{className:`bad`,children:e.message})]}),(0,J.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Open the workflow of ${Ga(e)}`,onClick:()=>Pr(He(e.workflow),`Job ${e.number}.json`),children:`Open`}),(0,J.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Delete ${Ga(e)}`,onClick:()=>i(er([e.id])),children:`Delete`})]},e.id))})]})}var Ga=e=>`job ${e.number}`,Ka=({job:e})=>(0,J.jsx)(`span`,{className:`job-name`,title:e.id,children:Ga(e)}),qa=e=>Object.values(e.outputs).flatMap(e=>hn(e).images??[]);function Ja({job:e}){let t=qa(e);return t[0]?(0,J.jsx)(`button`,{type:`button`,className:`thumb small`,"aria-label":`Show the pictures of ${Ga(e)}`,onClick:()=>B.setState({lightbox:{urls:t,at:0}}),children:(0,J.jsx)(`img`,{src:`${t[0]}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})}):(0,J.jsx)(`span`,{className:`thumb-empty`})}function Ya(){let e=Ua().flatMap(qa).filter(e=>e.includes(`type=output`));return e.length===0?(0,J.jsx)(`p`,{className:`faint`,children:`Pictures that you make are shown here.`}):(0,J.jsx)(`ul`,{className:`gallery`,children:e.map((t,n)=>(0,J.jsx)(`li`,{children:(0,J.jsx)(`button`,{type:`button`,className:`thumb`,"aria-label":`Picture ${n+1} of ${e.length}`,onClick:()=>B.setState({lightbox:{urls:e,at:n}}),children:(0,J.jsx)(`img`,{src:`${t}&preview=webp;80`,alt:``,loading:`lazy`,decoding:`async`})})},t))})}function Xa(){let e=N(e=>e.doc),{definitions:t,isLoaded:n}=P(),r=W(e=>e.active),{nodes:i,problem:a}=R(),o=n?Or(e):[],s=n?e.nodes.flatMap(n=>{let r=t.get(n.type);if(!r||r.isVirtual||typeof n.mode==`number`&&[2,4].includes(n.mode))return[];let i=D(e,S(n));return r.inputs.filter(e=>!e.widget&&!e.optional&&!i.has(e.name)).map(e=>[n,e.name])}):[],c=Object.entries(i[r]??{}).flatMap(([e,t])=>(t.errors??[]).map(t=>[e,t])).filter(([t])=>E(e,t)),l=e=>T(e,k(t,e).title),u=o.length+s.length+c.length===0;return(0,J.jsxs)(J.Fragment,{children:[u&&(0,J.jsx)(`p`,{className:`faint`,children:a??`Nothing stands in the way of a run.`}),o.length>0&&(0,J.jsxs)(J.Fragment,{children:[(0,J.jsx)(`h3`,{children:`Missing node types`}),(0,J.jsx)(`ul`,{className:`problems`,children:o.map(t=>(0,J.jsxs)(`li`,{children:[(0,J.jsx)(`code`,{children:t}),` `,e.nodes.filter(e=>e.type===t).map(e=>(0,J.jsx)(Za,{node:S(e),name:l(e)},S(e)))]},t))})]}),s.length>0&&(0,J.jsxs)(J.Fragment,{children:[(0,J.jsx)(`h3`,{children:`Inputs without a link`}),(0,J.jsx)(`ul`,{className:`problems`,children:s.map(([e,t])=>(0,J.jsxs)(`li`,{children:[`${l(e)}: ${t}`,` `,(0,J.jsx)(Za,{node:S(e),name:l(e)})]},`${S(e)} ${t}`))})]}),c.length>0&&(0,J.jsxs)(J.Fragment,{children:[(0,J.jsx)(`h3`,{children:`The last run`}),(0,J.jsx)(`ul`,{className:`problems`,children:c.map(([t,n])=>{let r=E(e,t);return(0,J.jsxs)(`li`,{children:[`${r?l(r):t}${n.input?`, ${n.input}`:``}: ${n.message}`,` `,(0,J.jsx)(Za,{node:t,name:r?l(r):t})]},t+n.input+n.message)})})]})]})}var Za=({node:e,name:t})=>(0,J.jsx)(`button`,{type:`button`,className:`button small`,"aria-label":`Locate ${t} (${e})`,onClick:()=>bn(e),children:`Locate`});function Qa(){return(0,J.jsxs)(`header`,{className:`topbar`,children:[(0,J.jsx)(eo,{}),(0,J.jsx)(to,{}),(0,J.jsx)(io,{}),(0,J.jsxs)(`nav`,{className:`panel-buttons`,"aria-label":`Panels`,children:[(0,J.jsx)(ao,{panel:`outline`,name:`Outline`,icon:(0,J.jsx)(ee,{size:16})}),(0,J.jsx)(ao,{panel:`queue`,name:`Queue and history`,icon:(0,J.jsx)(r,{size:16})}),(0,J.jsx)(ao,{panel:`gallery`,name:`Pictures`,icon:(0,J.jsx)(_e,{size:16})}),(0,J.jsx)(ao,{panel:`problems`,name:`Problems`,icon:(0,J.jsx)(Ae,{size:16})})]})]})}var $a=[[`File`,[`file.new`,`file.template`,`file.open`,`file.save`,`file.rename`,`file.close`]],[`Edit`,[`edit.undo`,`edit.redo`,`edit.add`,`edit.group`,`edit.arrange`]],[`View`,[`view.commands`,`view.find`,`view.outline`,`view.queue`,`view.gallery`,`view.problems`,`view.fit`,`view.minimap`,`view.snap`,`view.theme.system`,`view.theme.dark`,`view.theme.light`,`view.help`]]];function eo(){return(0,J.jsxs)(fe,{children:[(0,J.jsxs)(de,{className:`icon-button brand`,"aria-label":`Easel menu`,children:[(0,J.jsx)(i,{size:16}),(0,J.jsx)(`span`,{children:`Easel`})]}),(0,J.jsx)(ye,{children:(0,J.jsx)(Se,{className:`positioner`,sideOffset:6,align:`start`,children:(0,J.jsx)(me,{className:`menu`,children:$a.map(([e,t])=>(0,J.jsxs)(Oe,{children:[(0,J.jsx)(ce,{className:`menu-label`,children:e}),t.map(_a).map(e=>(0,J.jsxs)(pe,{className:`menu-item`,disabled:!e.when(),onClick:()=>void e.perform(),children:[(0,J.jsx)(`span`,{children:e.title}),(0,J.jsx)(`kbd`,{children:e.keys[0]?Ie(e.keys[0]):``})]},e.id))]},e))})})})]})}function to(){let{tabs:e,active:t}=W();return(0,J.jsxs)(`div`,{className:`tabs`,children:[(0,J.jsx)(`ul`,{"aria-label":`Open workflows`,children:e.map(e=>(0,J.jsx)(no,{tab:e,isActive:e.id===t},e.id))}),(0,J.jsx)(`button`,{type:`button`,className:`icon-button`,"aria-label":`New workflow`,onClick:()=>zr(),children:(0,J.jsx)(ke,{size:16})})]})}function no({tab:e,isActive:t}){let n=N(n=>(t?n.doc:e.doc)!==e.saved),r=B(e=>e.renaming===`tab`)&&t;return(0,J.jsxs)(`li`,{className:t?`tab is-active`:`tab`,children:[r?(0,J.jsx)(Zr,{title:e.name,label:`Name of the workflow`,done:t=>{B.setState({renaming:null}),t&&Nn(e.id,t)}}):(0,J.jsxs)(`button`,{type:`button`,"aria-current":t?`page`:void 0,onClick:()=>jn(e.id),onDoubleClick:()=>B.setState({renaming:`tab`}),children:[e.name,n&&(0,J.jsx)(`span`,{role:`img`,"aria-label":`, not saved`,className:`dirty`})]}),(0,J.jsx)(`button`,{type:`button`,className:`icon`,"aria-label":`Close ${e.name}`,onClick:()=>Mn(e.id),children:(0,J.jsx)(g,{size:12})})]})}var ro=100;function io(){let e=B(e=>e.count),{remaining:t,online:n}=R(),r=e=>()=>void _a(e).perform();return(0,J.jsxs)(`div`,{className:`run`,children:[(0,J.jsxs)(`button`,{type:`button`,className:`button primary`,onClick:r(`run.queue`),disabled:!n,title:`Run (${Ie(`Mod+Enter`)})`,children:[(0,J.jsx)(re,{size:14}),` Run`]}),(0,J.jsx)(`input`,{type:`number`,className:`field count`,"aria-label":`How many times`,min:1,max:ro,value:e,onChange:e=>B.setState({count:Math.max(1,Math.min(ro,Math.round(Number(e.target.value))||1))})}),(0,J.jsxs)(`button`,{type:`button`,className:`button`,onClick:r(`run.interrupt`),disabled:t===0,title:`Stop (${Ie(`Mod+Alt+Enter`)})`,children:[(0,J.jsx)(ne,{size:12}),` Stop`]})]})}function ao({panel:e,name:t,icon:n}){let r=B(t=>t.panel===e),i=R(e=>e.remaining),a=ha.find(t=>t.id===`view.${e}`)?.keys[0];return(0,J.jsxs)(`button`,{type:`button`,className:`icon-button`,"aria-pressed":r,"aria-label":e===`queue`&&i?`${t}, ${i} waiting`:t,title:a?`${t} (${a})`:t,onClick:()=>yn(e),children:[n,e===`queue`&&i>0&&(0,J.jsx)(`span`,{className:`badge`,"aria-hidden":`true`,children:i})]})}function oo(){return(0,_.useEffect)(ba,[]),(0,J.jsxs)(`div`,{className:`app`,onDragOver:e=>e.preventDefault(),onDrop:e=>{if(e.dataTransfer.files.length!==0){e.preventDefault();for(let t of e.dataTransfer.files)Ir(t)}},children:[(0,J.jsx)(Qa,{}),(0,J.jsxs)(`div`,{className:`middle`,children:[(0,J.jsxs)(`main`,{children:[(0,J.jsx)(`h1`,{className:`hidden`,children:`Easel`}),(0,J.jsx)(Ca,{children:(0,J.jsx)(Ai,{})}),(0,J.jsx)(so,{})]}),(0,J.jsx)(za,{})]}),(0,J.jsx)(co,{}),(0,J.jsx)(ka,{}),(0,J.jsx)(wa,{}),(0,J.jsx)(Ta,{}),(0,J.jsx)(Ea,{})]})}function so(){return N(e=>e.doc.nodes.length===0)?(0,J.jsxs)(`div`,{className:`empty`,children:[(0,J.jsx)(`p`,{children:`An empty workflow`}),[`file.template`,`edit.add`,`file.open`].map(_a).map(e=>(0,J.jsx)(`button`,{type:`button`,className:`button`,onClick:()=>void e.perform(),children:e.title},e.id)),(0,J.jsx)(`p`,{className:`faint`,children:`Or drop a workflow, or a picture you made, anywhere here.`})]}):null}function co(){let{online:e,remaining:t,nodes:n}=R(),r=P(e=>e.isLoaded),{tabs:i,active:a}=W(),o=Object.entries(n[a]??{}).find(([,e])=>e.state===`running`),s=N(e=>o?E(e.doc,o[0]):void 0),c=o?.[1].max?Math.round(100*(o[1].value??0)/o[1].max):0,l=i.find(e=>e.id===a)?.name??`Easel`,u=t>0;(0,_.useEffect)(()=>{document.title=u?`[${c}%] ${l} · Easel`:`${l} · Easel`},[u,c,l]);let d=s?T(s,L().get(s.type)?.title??s.type):``,f=e?r?u?d?`${d} ${c}%`:`Running`:`Ready`:`The server is loading its nodes…`:`No connection; trying again. Your work is kept.`;return(0,J.jsxs)(`footer`,{className:`status`,children:[(0,J.jsx)(`span`,{className:`glyph glyph-${e?u?`running`:`finished`:`error`}`}),(0,J.jsx)(`span`,{role:`status`,children:f}),t>1&&(0,J.jsx)(`span`,{className:`faint`,children:`${t-1} more waiting`})]})}var lo=class extends _.Component{state={error:null};static getDerivedStateFromError(e){return{error:e instanceof Error?e.message:String(e)}}render(){return this.state.error===null?this.props.children:(0,J.jsxs)(`main`,{className:`failure`,role:`alert`,children:[(0,J.jsx)(`h1`,{children:`The editor has failed`}),(0,J.jsxs)(`p`,{children:[`What you made is kept in this browser. `,this.state.error]}),(0,J.jsx)(`button`,{type:`button`,className:`button primary`,onClick:()=>location.reload(),children:`Load it again`})]})}};xn(B.getState().theme),Ln()||Pr(sa,`Text to image.json`),Rn(),Dr().then(()=>{Fr(I()),B.setState(e=>({fit:e.fit+1}))}),Er(e=>{e||Dr(),Nr().catch(()=>void 0)}),addEventListener(`paste`,e=>{if(Le(e.target))return;let t=e.clipboardData?.files[0],n=e.clipboardData?.getData(`text`)??``;t?Ir(t):n&&!Zi(n,!1)&&n.trimStart().startsWith(`{`)&&Pr(n,`Pasted.json`)});var uo=document.getElementById(`root`);uo&&(0,Ne.createRoot)(uo).render((0,J.jsx)(_.StrictMode,{children:(0,J.jsx)(lo,{children:(0,J.jsx)(oo,{})})}));