package draw

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium that a test drives by its DevTools protocol,
// over two pipes: messages are JSON that ends with a zero byte.
type browser struct {
	in *os.File

	mu     sync.Mutex
	last   int
	calls  map[int]chan message
	events map[string][]message // by session
	ended  bool
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser skips the test where no browser is installed.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" && os.Getenv("CI") != "" {
		t.Fatal("no browser, and CI must not skip: .ci/run installs chromium")
	}
	if program == "" {
		t.Skip("no browser: install chromium (apt-get install chromium), then go test ./sim/draw -run Browser")
	}
	fromTest, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toTest, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+t.TempDir())
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // 3 and 4
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromTest.Close()
	toTest.Close()
	b := &browser{in: in, calls: make(map[int]chan message), events: make(map[string][]message)}
	go b.read(out)
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		killer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		killer.Stop()
		in.Close()
		out.Close()
		if t.Failed() {
			t.Logf("the browser said:\n%s", said.Bytes())
		}
	})
	return b
}

// read takes the answers to their calls, and keeps the events.
func (b *browser) read(out *os.File) {
	messages := bufio.NewReader(out)
	for {
		text, err := messages.ReadBytes(0)
		if err != nil {
			break
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if waiting := b.calls[m.ID]; waiting != nil {
			delete(b.calls, m.ID)
			waiting <- m
		} else if m.Method != "" {
			b.events[m.Session] = append(b.events[m.Session], m)
		}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	for _, waiting := range b.calls {
		close(waiting)
	}
}

func (b *browser) send(session, method string, params any) (chan message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil, fmt.Errorf("%s: the browser has ended", method)
	}
	b.last++
	text, err := json.Marshal(message{ID: b.last, Session: session, Method: method, Params: params})
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	b.calls[b.last] = answer
	_, err = b.in.Write(append(text, 0))
	return answer, err
}

// call does a command and decodes its result.
func (b *browser) call(session, method string, params, result any) error {
	answer, err := b.send(session, method, params)
	if err != nil {
		return err
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: the browser has ended", method)
		case m.Error != nil:
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-time.After(60 * time.Second):
		return fmt.Errorf("%s: no answer within a minute", method)
	}
}

// tab is a page of the browser. Its methods end the test when they fail.
type tab struct {
	t       *testing.T
	b       *browser
	session string
	file    string
}

type object = map[string]any

// screen is what a page is shown on.
type screen struct {
	width, height int
	phone, dark   bool
	noScript      bool
}

// open shows the page in a tab of its own.
func (b *browser) open(t *testing.T, html string, s screen) *tab {
	t.Helper()
	p := &tab{t: t, b: b, file: filepath.Join(t.TempDir(), "report.html")}
	if err := os.WriteFile(p.file, []byte(html), 0o644); err != nil {
		t.Fatal(err)
	}
	var target struct{ TargetID string }
	if err := b.call("", "Target.createTarget", object{"url": "about:blank"}, &target); err != nil {
		t.Fatal(err)
	}
	var attached struct{ SessionID string }
	if err := b.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		t.Fatal(err)
	}
	p.session = attached.SessionID
	t.Cleanup(func() { b.call("", "Target.closeTarget", object{"targetId": target.TargetID}, nil) })
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(domain+".enable", nil)
	}
	p.call("Emulation.setDeviceMetricsOverride", object{"width": s.width, "height": s.height, "deviceScaleFactor": 1, "mobile": s.phone})
	p.call("Emulation.setTouchEmulationEnabled", object{"enabled": s.phone, "maxTouchPoints": 2})
	p.call("Emulation.setScriptExecutionDisabled", object{"value": s.noScript})
	theme := "light"
	if s.dark {
		theme = "dark"
	}
	p.call("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": theme}}})
	p.call("Page.navigate", object{"url": "file://" + p.file})
	p.until(`document.readyState === "complete" && location.protocol === "file:"`)
	return p
}

func (p *tab) call(method string, params object) {
	p.t.Helper()
	if err := p.b.call(p.session, method, params, nil); err != nil {
		p.t.Fatal(err)
	}
}

// eval evaluates a JavaScript expression in the page.
func eval[T any](p *tab, expression string) (value T) {
	p.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	err := p.b.call(p.session, "Runtime.evaluate", object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if err == nil && answer.ExceptionDetails != nil {
		err = fmt.Errorf("%s", answer.ExceptionDetails.Exception.Description)
	}
	if err == nil && answer.Result.Value != nil {
		err = json.Unmarshal(answer.Result.Value, &value)
	}
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits for the condition to come true.
func (p *tab) until(condition string) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if eval[bool](p, condition) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("never: %s; the panel says %q", condition, eval[string](p, `document.getElementById("panel").textContent`))
		}
	}
}

// key presses a key, named as in KeyboardEvent.key.
func (p *tab) key(name string) {
	p.t.Helper()
	codes := map[string]int{
		"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
	}
	down := object{"type": "keyDown", "key": name, "windowsVirtualKeyCode": codes[name]}
	switch {
	case name == "Enter":
		down["text"] = "\r"
	case len(name) == 1:
		down["text"] = name
	}
	p.call("Input.dispatchKeyEvent", down)
	p.call("Input.dispatchKeyEvent", object{"type": "keyUp", "key": name, "windowsVirtualKeyCode": codes[name]})
}

func (p *tab) mouse(kind string, x, y float64, more object) {
	p.t.Helper()
	params := object{"type": kind, "x": x, "y": y}
	for k, v := range more {
		params[k] = v
	}
	p.call("Input.dispatchMouseEvent", params)
}

var left = object{"button": "left", "buttons": 1, "clickCount": 1}

func (p *tab) click(x, y float64) {
	p.t.Helper()
	p.mouse("mousePressed", x, y, left)
	p.mouse("mouseReleased", x, y, left)
}

// touch moves the fingers to the points; none lifts them.
func (p *tab) touch(kind string, points ...object) {
	p.t.Helper()
	points = append([]object{}, points...) // none is [], not null
	p.call("Input.dispatchTouchEvent", object{"type": kind, "touchPoints": points})
}

// middle returns the middle of an element, after scrolling to it.
func (p *tab) middle(selector string) (x, y float64) {
	p.t.Helper()
	at := eval[[2]float64](p, fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({block: "center"});
		const b = e.getBoundingClientRect();
		return [b.x + b.width / 2, b.y + b.height / 2];
	})()`, selector))
	return at[0], at[1]
}

// complaints are what the page has logged, thrown, or asked the network for.
func (p *tab) complaints() (list []string) {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	for _, m := range p.b.events[p.session] {
		text, _ := json.Marshal(m.Params)
		switch m.Method {
		case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
			list = append(list, m.Method+" "+string(text))
		case "Network.requestWillBeSent":
			if !bytes.Contains(text, []byte(`"url":"file://`+p.file+`"`)) {
				list = append(list, m.Method+" "+string(text))
			}
		}
	}
	return list
}

// shoot takes a screenshot of the whole page, where -shots says to.
func (p *tab) shoot(name string) {
	p.t.Helper()
	if *shots == "" {
		return
	}
	var shot struct{ Data []byte }
	if err := p.b.call(p.session, "Page.captureScreenshot", object{"captureBeyondViewport": false}, &shot); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), shot.Data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
