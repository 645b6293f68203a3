import os,socket,sys
os.setsid()
s=socket.socket(fileno=os.dup(0))
n=os.open(os.devnull,os.O_RDONLY);os.dup2(n,0);os.close(n)
t=b""
while len(t)<4 or len(t)<4+int.from_bytes(t[:4],"little"):
    d=s.recv(4+int.from_bytes(t[:4],"little")-len(t) if len(t)>=4 else 4-len(t))
    if not d:sys.exit(0)
    t+=d
exec(compile(t[4:],"mainspring-worker","exec"),{"__name__":"mainspring_worker","SOCKET":s})
