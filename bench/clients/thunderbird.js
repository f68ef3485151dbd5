// What Thunderbird is told to do, with its own services, one function a step;
// thunderbird.py runs them. Folders are named by their path below the account.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const Flags = Ci.nsMsgFolderFlags;
const server = MailServices.accounts.getAccount("account1").incomingServer;

const pathOf = f => decodeURIComponent(f.URI.slice(server.rootFolder.URI.length + 1));

// folder(path) is a folder that Thunderbird knows.
function folder(path) {
  const found = server.rootFolder.descendants.find(f => pathOf(f) == path);
  if (!found) {
    throw new Error(`no folder ${path}`);
  }
  return found.QueryInterface(Ci.nsIMsgImapMailFolder);
}

// letter(path, uid) is the header of a message.
function letter(path, uid) {
  const header = folder(path).msgDatabase.getMsgHdrForKey(Number(uid));
  if (!header) {
    throw new Error(`no letter ${uid} in ${path}`);
  }
  return header;
}

// ended(start) calls start with a listener of both of Thunderbird's kinds, and
// waits until it is told of the end.
function ended(start) {
  return new Promise((resolve, reject) => {
    const end = status =>
      Components.isSuccessCode(status) ? resolve() : reject(new Error(`status ${status.toString(16)}`));
    start({
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (_url, status) => end(status),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy: end,
    });
  });
}

const until = async condition => {
  while (!condition()) {
    await new Promise(resolve => setTimeout(resolve, 50));
  }
};

// login notes the password, as a person would have had it noted.
async function login(user, password) {
  const origin = `imap://${server.hostName ?? "127.0.0.1"}`;
  const info = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  info.init(origin, null, origin, user, password, "", "");
  await Services.logins.addLoginAsync(info);
}

// folders asks the server for its folders, and returns their paths.
async function folders() {
  server.QueryInterface(Ci.nsIImapIncomingServer);
  await ended(l => MailServices.imap.discoverAllFolders(server.rootFolder, l, null));
  // Of its first discovery it says the end before all is there.
  await until(() => server.rootFolder.containsChildNamed("INBOX"));
  return server.rootFolder.descendants.map(pathOf).sort();
}

// update opens the folder, or brings it up to date.
async function update(path) {
  await ended(l => folder(path).updateFolderWithListener(null, l));
}

// letters lists the folder as Thunderbird has it: UID, subject, flags.
async function letters(path) {
  return [...folder(path).msgDatabase.enumerateMessages()]
    .sort((a, b) => a.messageKey - b.messageKey)
    .map(h => {
      const words = [h.messageKey, h.mime2DecodedSubject];
      for (const [set, word] of [
        [h.isRead, "read"],
        [h.isFlagged, "flagged"],
        [h.flags & Ci.nsMsgMessageFlags.Replied, "replied"],
      ]) {
        if (set) {
          words.push(word);
        }
      }
      return words.concat(h.getStringProperty("keywords").split(" ").filter(Boolean)).join(" ");
    });
}

// has waits until a line of letters is so; nothing asks the server meanwhile.
async function has(path, line) {
  for (;;) {
    if ((await letters(path)).includes(line)) {
      return;
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

// read fetches a message as for showing it, and returns its text.
function read(path, uid) {
  const uri = folder(path).getUriForMsg(letter(path, uid));
  return new Promise((resolve, reject) => {
    let text = "";
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      onStartRequest() {},
      onDataAvailable(_request, stream, _offset, count) {
        const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
        input.init(stream);
        text += input.readBytes(count);
      },
      onStopRequest: (_request, status) =>
        Components.isSuccessCode(status) ? resolve(text) : reject(new Error(`status ${status.toString(16)}`)),
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
  });
}

// mark sets what the name says: read, unread, flagged, or a tag.
async function mark(path, uid, what) {
  const list = [letter(path, uid)];
  switch (what) {
    case "read":
    case "unread":
      folder(path).markMessagesRead(list, what == "read");
      break;
    case "flagged":
      folder(path).markMessagesFlagged(list, true);
      break;
    default:
      folder(path).addKeywordsToMessages(list, what);
  }
}

// copy and move take a message to another folder.
async function copy(path, uid, to) {
  await ended(l =>
    MailServices.copy.copyMessages(folder(path), [letter(path, uid)], folder(to), false, l, null, false)
  );
}

async function move(path, uid, to) {
  await ended(l =>
    MailServices.copy.copyMessages(folder(path), [letter(path, uid)], folder(to), true, l, null, false)
  );
}

// trash deletes a message the way the Delete key does.
async function trash(path, uid) {
  await ended(l => folder(path).deleteMessages([letter(path, uid)], null, false, false, l, false));
}

// store keeps a file as a message: a draft, or what was sent.
async function store(path, file, kind) {
  const from = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  from.initWithPath(file);
  const draft = kind == "draft";
  const flags = draft ? 0 : Ci.nsMsgMessageFlags.Read;
  await ended(l => MailServices.copy.copyFileMessage(from, folder(path), null, draft, flags, "", l, null));
}

// search asks the server which messages have a word in their body.
function search(path, word) {
  const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
  session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(path));
  const term = session.createTerm();
  term.attrib = Ci.nsMsgSearchAttrib.Body;
  term.op = Ci.nsMsgSearchOp.Contains;
  const value = term.value;
  value.attrib = term.attrib;
  value.str = word;
  term.value = value;
  session.appendTerm(term);
  return new Promise(resolve => {
    const found = [];
    session.registerListener({
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
      onSearchHit: header => found.push(`${header.messageKey} ${header.mime2DecodedSubject}`),
      onSearchDone: () => resolve(found.sort()),
      onNewSearch() {},
    });
    session.search(null);
  });
}

// create, rename and remove a folder; removed ones go to the trash.
async function create(name) {
  server.rootFolder.createSubfolder(name, null);
  await until(() => server.rootFolder.containsChildNamed(name));
}

async function rename(path, name) {
  folder(path).rename(name, null);
  await until(() => server.rootFolder.containsChildNamed(name));
}

async function remove(path) {
  folder(path).deleteSelf(null);
  await until(() => !server.rootFolder.containsChildNamed(path));
}

// line goes offline or comes back.
async function line(state) {
  if (state == "offline") {
    server.closeCachedConnections();
  }
  Services.io.offline = state == "offline";
}

async function quit() {
  setTimeout(() => Services.startup.quit(Ci.nsIAppStartup.eAttemptQuit), 0);
}
